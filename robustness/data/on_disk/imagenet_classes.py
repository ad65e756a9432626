"""The 1000 classes of ImageNet-1k in the order of a network's outputs: sorted by wnid."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from robustness.errors import UserError


@cache
def wnids() -> tuple[str, ...]:
    """The 1000 wnids, sorted; output i of a network is the i-th."""
    text = files("timm.data").joinpath("_info", "imagenet_synsets.txt").read_text("utf-8")
    found = tuple(text.split())
    if len(found) != 1000 or list(found) != sorted(found):
        raise UserError("timm's list of ImageNet classes is not the 1000 sorted wnids; install timm again")
    return found


@cache
def _index() -> dict[str, int]:
    return {wnid: number for number, wnid in enumerate(wnids())}


def index_of(wnid: str, folder: Path) -> int:
    """The output of a wnid; UserError that names the folder if it is none of the 1000."""
    if wnid not in _index():
        raise UserError(f"data.path: {folder} is not named by one of ImageNet's 1000 wnids")
    return _index()[wnid]
