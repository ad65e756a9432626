"""Write the report: ``python -m pipeline.report``."""

from __future__ import annotations

import platform
import shutil
from importlib.metadata import version

from pipeline import files, stage
from pipeline.params import Params
from robustness.data import photos
from robustness.data.image_set import ImageSet

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "foolbox",
    "numpy",
    "pandas",
    "scikit-learn",
    "dvc",
    "mlflow",
    "typst",
)


def report(params: Params) -> None:
    """Write the PDF, the HTML page, the models' cards and the figures from the tables and the arrays."""
    from reports.build import write_report
    from reports.inputs import ReportInputs

    inputs = ReportInputs(
        params=params.model_dump(),
        **{name: files.read_table(files.TABLES / f"{name}.parquet") for name in files.COLLATED},
        data=_data_card(params),
        pictures={name: files.RESULTS / name for name in params.models},
        environment=_environment(),
    )
    write_report(inputs, files.REPORTS)
    # The README's picture: in git, while the other figures are in DVC's cache.
    with files.whole(files.REPORTS / "overview.svg") as picture:
        shutil.copyfile(files.REPORTS / "figures" / "overview.svg", picture)


def _data_card(params: Params):
    from reports.inputs import DataCard

    images = ImageSet.open(files.IMAGES)
    counts = (
        images.samples.groupby(["split", "role"], sort=False)
        .agg(objects=("object", "nunique"), images=("sample", "size"))
        .reset_index()
    )
    return DataCard(
        name=params.data.set,
        classes=images.classes,
        image_size=images.image_size,
        counts=counts,
        facts=photos.facts(images),
        description=_description(params.data.set),
        images=images,
    )


def _description(name: str) -> str:
    """How the set was made; a set from disk says what is known of it among the facts."""
    if name == "digits":
        from robustness.data import digits

        return digits.__doc__ or ""
    return (files.SOURCE / "data" / "README.md").read_text(encoding="utf-8") if name == "objects" else ""


def _environment() -> dict[str, str]:
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    found |= {package: version(package) for package in PACKAGES}
    return found | files.surroundings()


if __name__ == "__main__":
    stage.run(report)
