"""The bootstrap over objects: whole objects are drawn with replacement, with all their samples.

Images of one object are not independent, so an interval over images is too narrow. Drawing objects keeps
the dependence (cluster bootstrap; Davison & Hinkley 1997, section 3.8). It is fast because a resample is
only a row of multinomial counts, how often each object was drawn, and every ratio of sums over samples
follows from one matrix product of these counts with the sums per object.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pydantic import Field

from robustness.seeds import numpy_generator
from robustness.settings import Settings
from robustness.statistics.proportions import CONFIDENCE, Interval, wilson

RESAMPLES = 1000


class StatisticsSettings(Settings):
    """Intervals: bootstrap over objects."""

    resamples: int = Field(ge=100, le=100000)


def resampling_weights(objects: int, *, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each object is drawn in each resample: (resamples, objects) float64, rows sum to ``objects``.

    The same (objects, resamples, seed) give the same rows, so that figures computed apart stay paired.
    """
    if objects < 1:
        raise ValueError("no objects to draw from")
    generator = numpy_generator(seed, "bootstrap", objects)
    return generator.multinomial(objects, np.full(objects, 1.0 / objects), size=resamples).astype(np.float64)


def sums_by_object(
    values: np.ndarray | Sequence[float], objects: Sequence | np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums (G,), counts (G,) of ``values`` (N,) for each object, and the G objects in sorted order."""
    values = np.asarray(values, dtype=np.float64)
    codes, names = pd.factorize(np.asarray(objects), sort=True)
    if len(codes) != len(values):
        raise ValueError(f"{len(values)} values but {len(codes)} objects")
    if (codes < 0).any():
        raise ValueError("an object is missing (NaN)")
    groups = len(names)
    return (
        np.bincount(codes, weights=values, minlength=groups),
        np.bincount(codes, minlength=groups).astype(np.float64),
        names,
    )


def percentiles(draws: np.ndarray, confidence: float = CONFIDENCE) -> tuple[np.ndarray, np.ndarray]:
    """The lower and upper percentile of ``draws`` (R, …) along the first axis: two arrays (…).

    NaN draws (a resample without any sample of the condition) are left out. Infinite draws are allowed:
    a bound between a finite and an infinite draw is the infinite one.
    """
    draws = np.asarray(draws, dtype=np.float64)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    if np.isfinite(draws).all():
        low, high = np.quantile(draws, tails, axis=0)
        return low, high
    ordered = np.sort(draws, axis=0)  # NaN last
    last = np.maximum((~np.isnan(draws)).sum(axis=0, keepdims=True) - 1, 0)
    places = np.floor(tails[0] * last), np.ceil(tails[1] * last)
    low, high = (np.take_along_axis(ordered, place.astype(int), axis=0)[0] for place in places)
    return low, high


def interval_of_draws(
    value: float, draws: np.ndarray, n: int, *, proportion: bool = False, confidence: float = CONFIDENCE
) -> Interval:
    """The percentile interval of bootstrap ``draws`` (R,) around ``value``.

    ``proportion``: a proportion of exactly 0 or 1 gives draws without spread, which would claim certainty.
    Its open side is then the Wilson bound for ``n`` observations, every object counted once.
    """
    low, high = (float(bound) for bound in percentiles(draws, confidence))
    if proportion and low == high and value in (0.0, 1.0) and n > 0:
        _, low, high, _ = wilson(round(value * n), n, confidence=confidence)
    return Interval(float(value), low, high, n)


def interval_over_objects(
    values: np.ndarray | Sequence[float],
    objects: Sequence | np.ndarray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    confidence: float = CONFIDENCE,
    proportion: bool = False,
) -> Interval:
    """The mean of ``values`` (N,) over samples, with a percentile interval over their ``objects`` (N,).

    ``proportion`` says that the values are 0 or 1: see :func:`interval_of_draws`. One object alone gives no
    interval: its bounds are NaN.
    """
    sums, counts, names = sums_by_object(values, objects)
    value = float(sums.sum() / counts.sum()) if len(names) else float("nan")
    if len(names) < 2:
        return Interval(value, float("nan"), float("nan"), len(names))
    weights = resampling_weights(len(names), resamples=resamples, seed=seed)
    draws = (weights @ sums) / (weights @ counts)
    return interval_of_draws(value, draws, len(names), proportion=proportion, confidence=confidence)
