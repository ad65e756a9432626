"""Intervals of a plain proportion of independent observations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A value with its interval; ``n`` is the number of objects (the units that were drawn)."""

    value: float
    low: float
    high: float
    n: int


def wilson(successes: int, n: int, *, confidence: float = CONFIDENCE) -> Interval:
    """The score interval of Wilson (1927) for ``successes`` out of ``n`` independent observations.

    Without observations the value is NaN and the interval is [0, 1]. Raises ValueError if ``successes``
    exceeds ``n``.
    """
    if n == 0:
        return Interval(float("nan"), 0.0, 1.0, 0)
    from scipy.stats import binomtest  # imported here: scipy.stats is slow to import, and few need it

    low, high = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return Interval(successes / n, float(low), float(high), n)


def at_most_exact(successes: int, n: int, *, confidence: float = CONFIDENCE) -> float:
    """The one-sided upper bound of Clopper and Pearson (1934) for ``successes`` out of ``n``; 1 for n = 0.

    >>> round(at_most_exact(0, 100), 4)
    0.0295
    """
    from scipy.stats import beta

    return float(beta.ppf(confidence, successes + 1, n - successes)) if successes < n else 1.0


def at_least_exact(successes: int, n: int, *, confidence: float = CONFIDENCE) -> float:
    """The one-sided lower bound of Clopper and Pearson (1934) for ``successes`` out of ``n``; 0 for n = 0."""
    from scipy.stats import beta

    return float(beta.ppf(1 - confidence, successes, n - successes + 1)) if successes else 0.0


def mean_bounds(values: np.ndarray, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The one-sided lower and upper bounds of Student (1908) of the mean of (n,) values, n ≥ 2."""
    from scipy.stats import t

    reach = float(t.ppf(confidence, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return float(values.mean()) - reach, float(values.mean()) + reach
