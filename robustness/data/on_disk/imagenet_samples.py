"""The 20 labelled photographs that foolbox carries: a real check of ImageNet weights without a network."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from robustness.data.on_disk.imagenet_classes import wnids
from robustness.data.on_disk.listing import Listing, rows, table
from robustness.data.on_disk.registry import register
from robustness.errors import UserError

_NAME = re.compile(r"imagenet_(\d+)_(\d+)")
COUNT = 20


@register("imagenet_samples")
def listing(path: Path | None = None, **options: object) -> Listing:
    """The photographs, all of them clean test images with ImageNet's 1000 classes.

    Each is squeezed to a square, as foolbox itself does. Raises UserError if they are not all there.
    """
    spec = find_spec("foolbox")
    folder = Path(spec.origin).parent / "data" if spec and spec.origin else Path("foolbox/data")
    found = []
    for file in sorted(folder.glob("imagenet_*.jpg")):
        name = _NAME.fullmatch(file.stem)
        if name:
            found += rows([file], int(name[2]), folder)
    if len(found) != COUNT:
        raise UserError(
            f"{folder}: {len(found)} of foolbox's {COUNT} photographs are there; install it again"
        )
    return Listing(
        classes=list(wnids()),
        samples=table(found, folder, ""),
        policy="Answers among all 1000 classes of ImageNet; photographs squeezed to a square.",
        licence="Photographs from foolbox's examples, of the kind of ImageNet's; for tests and teaching.",
        groups=[[number] for number in range(1000)],
        fit="squash",
    )
