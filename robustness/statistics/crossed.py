"""The mean over models (architectures, seeds) that all see the same objects: both vary, both count.

Models and objects are crossed random factors. With U models, d_u the value of model u, S² the variance of
the d_u, and bootstrap draws in which all models see the same resampled objects:

- S²/U estimates what models contribute to the variance of the mean, plus the interaction e,
- V, the variance of the mean over the draws, what objects contribute, plus e,
- (mean over u of the variance of d_u over the draws − V) / (U − 1) estimates e, which was counted twice.

The variance of the mean is S²/U + V − e (the ANOVA estimator of two crossed random factors; Searle, Casella
& McCulloch, Variance Components, 1992, chapter 4), and its degrees of freedom are Satterthwaite's (1946).
With few models a t interval on these holds its confidence, where a percentile bootstrap of three seeds does
not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from robustness.statistics.proportions import CONFIDENCE

MARGIN = 0.03
"""Two things are equivalent if they differ by less than this for certain (fraction: three points)."""
MOST = 100_000
"""More models or objects than this nobody will measure."""

Verdict = Literal["higher", "lower", "equivalent", "undecided"]


@dataclass(frozen=True)
class CrossedMean:
    """A mean over ``units`` models and ``objects`` objects with its 95 % interval and standard error.

    ``verdict``: higher or lower if the interval excludes 0; equivalent if the 90 % interval lies within
    ±``MARGIN`` (two one-sided tests at 5 %; Schuirmann 1987); else undecided. A mean that differs from 0
    although by less than the margin counts as higher or lower. ``needed_units`` and ``needed_objects``: with
    how many of one, the others as they are, an effect as large as this would be decided (inf: not with any).
    """

    value: float
    low: float
    high: float
    error: float
    units: int
    objects: int
    verdict: Verdict
    needed_units: float
    needed_objects: float


def crossed_mean(draws: np.ndarray, objects: int) -> CrossedMean:
    """The mean of ``draws`` (U, 1 + R): the value of each model in the data, then in R resamples of
    ``objects`` objects that all models share.

    One model (U = 1) varies over objects alone. Raises ValueError without a model, a draw, or two objects.
    """
    draws = np.asarray(draws, dtype=np.float64)
    if draws.ndim != 2 or len(draws) < 1 or draws.shape[1] < 3 or objects < 2:
        raise ValueError(f"draws {draws.shape} of {objects} objects: need models × draws, two objects")
    units, value = len(draws), float(draws[:, 0].mean())
    by_objects = float(np.nanvar(draws[:, 1:].mean(axis=0), ddof=1))
    by_units = shared = 0.0
    if units > 1:
        by_units = float(np.var(draws[:, 0], ddof=1)) / units
        within = float(np.nanvar(draws[:, 1:], axis=1, ddof=1).mean())
        shared = max(0.0, within - by_objects) / (units - 1)
    # In expectation no less than half of the sum: both parts hold all of e.
    variance = max(by_units + by_objects - shared, (by_units + by_objects) / 2)
    error = float(np.sqrt(variance))
    freedom = _freedom([(by_units, units - 1), (by_objects, objects - 1)], variance)
    low, high = (value + side * error * stats.t.ppf((1 + CONFIDENCE) / 2, freedom) for side in (-1, 1))
    near = error * stats.t.ppf(CONFIDENCE, freedom)
    verdict: Verdict = "undecided"
    if low > 0 or high < 0:
        verdict = "higher" if low > 0 else "lower"
    elif abs(value) + near < MARGIN:
        verdict = "equivalent"
    allowed = (value / stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) ** 2
    return CrossedMean(
        value,
        float(low),
        float(high),
        error,
        units,
        objects,
        verdict,
        _needed(units * by_units, allowed - max(0.0, by_objects - shared)) if units > 1 else float("inf"),
        _needed(objects * by_objects, allowed - max(0.0, by_units - shared)),
    )


def _freedom(parts: list[tuple[float, int]], variance: float) -> float:
    """Satterthwaite's degrees of freedom of a sum of estimated variances."""
    below = sum(part**2 / freedom for part, freedom in parts if freedom > 0)
    return max(1.0, variance**2 / below) if below > 0 else float("inf")


def _needed(each: float, allowed: float) -> float:
    """How many members bring a variance of ``each`` a member down to ``allowed``."""
    if allowed <= 0 or each / allowed > MOST:
        return float("inf")
    return float(np.ceil(each / allowed))
