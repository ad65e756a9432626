"""The names of conditions and scores: shift, factor, level, statistic."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

SHIFTS = {
    "pose": "3-D pose",
    "plane": "in-plane shifts",
    "clutter": "clutter",
    "light": "light",
    "combined": "several shifts at once",
    "corruption": "corruptions",
}
"""The shifts in words: the camera around the object; the object rolled, farther off or aside; what stands
around it; where the light comes from; some of these together; what the image suffers afterwards."""

CLEAN = "clean"
"""The shift of clean rows (their factor is ``none``, their level ``0``)."""

SPHERE, RANDOM = "pose/sphere", "pose/random"
"""The dense view sphere, its levels ``az<azimuth>_el<elevation>`` in degrees; random views, its levels
draws."""

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


class Key(NamedTuple):
    """What one score is of; as text the metric's name, its parts joined by ``/``, empty ones left out.

    ``shift`` is ``clean``, a shift, ``attack`` or ``probe``. Of an attack, ``factor`` is ``<attack>_<norm>``
    and ``level`` its ε (L∞ in 255ths), ``eps_<ε>`` in the name; of a probe, ``factor`` is the probe and
    ``level`` the layer. An empty factor or level: the score is over all of them.
    """

    shift: str
    factor: str
    level: str
    statistic: str

    def __str__(self) -> str:
        level = f"eps_{self.level}" if self.shift == "attack" and self.level else self.level
        return "/".join(part for part in (self.shift, self.factor, level, self.statistic) if part)


class Condition(NamedTuple):
    """(shift, factor, level); level and factor are empty where all of them are meant."""

    shift: str
    factor: str = ""
    level: str = ""

    @property
    def path(self) -> str:
        """``shift/factor``."""
        return f"{self.shift}/{self.factor}"

    def score(self, statistic: str) -> Key:
        """The key of a score under this condition."""
        return Key(*self, statistic)


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
