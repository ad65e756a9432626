"""What surrounds the tables of a run: the data card, and the machine and versions that made them."""

from __future__ import annotations

import platform
from importlib.metadata import version

import torch

from robustness.data import digits
from robustness.data.image_set import ImageSet
from robustness.data.origin import metadata
from robustness.report.inputs import DataCard

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


def data_card(name: str, images: ImageSet, objects: str) -> DataCard:
    """The card of an image set; ``objects`` is the description of the rendered one.

    A set from disk says what is known of it among the facts.
    """
    described = {"objects": objects} | dict.fromkeys(digits.SOURCES, digits.__doc__ or "")
    counts = (
        images.samples.groupby(["split", "role"], sort=False)
        .agg(objects=("object", "nunique"), images=("sample", "size"))
        .reset_index()
    )
    return DataCard(
        name=name,
        classes=images.classes,
        image_size=images.image_size,
        counts=counts,
        facts=metadata(images),
        description=described.get(name, ""),
        images=images,
    )


def environment() -> dict[str, str]:
    """Python, system, instruction set, and the packages that results depend on, with their versions.

    With another instruction set a training ends in other weights, within the spread of seeds.
    """
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}",
             "instruction set": torch.backends.cpu.get_cpu_capability()}  # fmt: skip
    return found | {package: version(package) for package in PACKAGES}
