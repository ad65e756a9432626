"""Intervals of a plain proportion of independent observations."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy.special import ndtri

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A value with its interval; ``n`` is the number of objects (the units that were drawn)."""

    value: float
    low: float
    high: float
    n: int


def wilson(successes: int, n: int, *, confidence: float = CONFIDENCE) -> Interval:
    """The score interval of Wilson (1927) for ``successes`` out of ``n`` independent observations.

    Without observations the value is NaN and the interval is [0, 1].
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes out of {n}")
    if n == 0:
        return Interval(float("nan"), 0.0, 1.0, 0)
    z = float(ndtri((1 + confidence) / 2))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the bound is 0 or 1 exactly; rounding must not push it past the value.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(share, low, high, n)
