"""Write the report: ``python -m pipeline.report``."""

from __future__ import annotations

import shutil

from pipeline import files, stage
from pipeline.settings import StageSettings
from robustness.data.image_set import ImageSet
from robustness.provenance import provenance
from robustness.report.build import write_report
from robustness.report.gathering import data_card, environment
from robustness.report.inputs import ReportInputs
from robustness.whole_files import read_table, whole

READS = ("seed", "data", "training", "frontend", "evaluation", "attack", "probe", "statistics",
         "learning_curve", "models")  # fmt: skip


def report(settings: StageSettings) -> None:
    """Write the PDF, the HTML page, the models' cards and the figures from the collated tables."""
    params = settings.as_written()
    objects = (files.SOURCE / "data" / "README.md").read_text(encoding="utf-8")
    inputs = ReportInputs(
        params=params,
        **{name: read_table(files.TABLES / f"{name}.parquet") for name in files.COLLATED},
        data=data_card(params["data"]["set"], ImageSet.open(files.IMAGES), objects),
        pictures={name: files.RESULTS / name for name in params["models"]},
        environment=environment() | provenance(files.SOURCE, files.DVC_LOCK),
    )
    write_report(inputs, files.REPORTS)
    # The README's picture: in git, while the other figures are in DVC's cache.
    with whole(files.REPORTS / "overview.svg") as picture:
        shutil.copyfile(files.REPORTS / "figures" / "overview.svg", picture)


if __name__ == "__main__":
    stage.run(report, READS)
