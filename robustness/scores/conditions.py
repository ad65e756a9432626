"""What the scores know about conditions: clean ones, curves, the view sphere, background swaps."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

CLEAN = "clean"
"""The shift of clean rows (their factor is ``none``, their level ``0``)."""

SPHERE = "viewpoint/sphere"
"""The dense view sphere: its levels are ``az<azimuth>_el<elevation>`` in degrees."""

SWAP_LEVELS = (
    "mixed_same",
    "mixed_rand",
    "mixed_next",
    "only_fg",
    "no_fg",
    "only_bg",
    "only_bg_b",
    "only_bg_t",
)
"""Background swaps of ImageNet-9; a factor with any of these levels is a swap, not a curve."""

CLEAN_LEVELS = {"clutter/background": "plain", "clutter/swap": "original"}
"""The clean level of the factors whose clean level is not 0."""

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
_VIEW = re.compile(rf"(?:az({_NUMBER})_el({_NUMBER})|({_NUMBER}),({_NUMBER}))")


class Condition(NamedTuple):
    """(shift, factor, level); as text ``shift/factor/level``."""

    shift: str
    factor: str
    level: str

    @property
    def path(self) -> str:
        """``shift/factor``."""
        return f"{self.shift}/{self.factor}"

    def __str__(self) -> str:
        return f"{self.shift}/{self.factor}/{self.level}"


def number(level: str) -> float:
    """The number that a level stands for; NaN if it is a word."""
    try:
        return float(level)
    except ValueError:
        return math.nan


def view(level: str) -> tuple[float, float] | None:
    """(azimuth, elevation) in degrees of a level of the view sphere, also as ``30,-15``; else None."""
    match = _VIEW.fullmatch(level)
    if not match:
        return None
    azimuth, elevation = (float(group) for group in match.groups() if group is not None)
    return azimuth, elevation


def in_order(levels: Iterable[str]) -> list[str]:
    """Levels sorted: numbers by size first, then words by name."""

    def key(level: str) -> tuple[bool, float, str]:
        value = number(level)
        return (math.isnan(value), 0.0 if math.isnan(value) else value, level)

    return sorted(levels, key=key)


def is_swap(levels: Iterable[str]) -> bool:
    """Do these levels belong to a factor of background swaps?"""
    return not set(SWAP_LEVELS).isdisjoint(levels)


def clean_level(path: str, given: Mapping[str, str] | None = None) -> str:
    """The level of the factor ``shift/factor`` that is the clean image: as given, else the usual one."""
    levels = CLEAN_LEVELS if given is None else {**CLEAN_LEVELS, **given}
    return str(levels.get(path, "0"))
