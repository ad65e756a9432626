"""The registry of shifts: which factors there are, with which levels, and where they act.

A module of image-space factors holds a tuple ``FACTORS`` of :class:`Factor`; it is listed in ``_TABLES``.
"""

from __future__ import annotations

from functools import cache

from robustness.errors import UserError, nearest
from robustness.shifts import background, corruption, pasted, planar
from robustness.shifts.factors import RENDERED, Factor, Level

__all__ = ["Factor", "Level", "check", "get", "names"]

_TABLES = (RENDERED, planar.FACTORS, pasted.FACTORS, corruption.FACTORS, background.FACTORS)


@cache
def _registry() -> dict[str, Factor]:
    registry: dict[str, Factor] = {}
    for factor in (factor for table in _TABLES for factor in table):
        if factor.id in registry:
            raise ValueError(f"two factors are named {factor.id}")
        registry[factor.id] = factor
    return registry


def names(applies: str | None = None) -> list[str]:
    """The ids (``shift/factor``) of all factors, or of those that apply to: rendered, image, masked."""
    return [key for key, factor in _registry().items() if applies in (None, factor.applies)]


def get(name: str) -> Factor:
    """The factor with the id ``shift/factor``; UserError with the nearest known ones if there is none."""
    registry = _registry()
    if name not in registry:
        raise UserError(f"shifts: no factor {name!r}; {nearest(name, registry)}")
    return registry[name]


def check(shift: str, factor: str, level: Level) -> Factor:
    """The factor, if it is known and ``level`` is one that it allows; else UserError in one line."""
    found = get(f"{shift}/{factor}")
    found.parse(level, text=False)
    return found
