"""Do two models err on the same samples? Error consistency of Geirhos, Meding & Wichmann (2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from robustness.statistics.bootstrap import RESAMPLES, percentiles, resampling_weights, sums_by_object
from robustness.statistics.proportions import CONFIDENCE


class ErrorConsistency(NamedTuple):
    """κ with its interval over objects; 0: errors overlap as by chance, 1: the same errors."""

    kappa: float
    low: float
    high: float
    observed: float
    expected: float
    n: int


def kappa(observed: np.ndarray | float, first: np.ndarray | float, second: np.ndarray | float) -> np.ndarray:
    """κ = (c_obs − c_exp) / (1 − c_exp), c_exp = p1·p2 + (1 − p1)(1 − p2); broadcasts.

    ``observed`` is the share of samples on which both are right or both wrong; ``first`` and ``second`` are
    the accuracies. Where both are always right or both always wrong c_exp is 1 and κ is NaN.
    """
    observed, first, second = np.broadcast_arrays(observed, first, second)
    expected = first * second + (1 - first) * (1 - second)
    room = 1 - expected
    defined = room > 1e-12
    return np.where(defined, (observed - expected) / np.where(defined, room, 1.0), np.nan)


def error_consistency(
    a: np.ndarray | Sequence[bool],
    b: np.ndarray | Sequence[bool],
    objects: Sequence | np.ndarray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> ErrorConsistency:
    """Error consistency of two models' correctness (N,) on the same samples of ``objects`` (N,)."""
    a, b = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    if a.shape != b.shape:
        raise ValueError(f"not the same samples: {a.shape} and {b.shape}")
    agree, counts, names = sums_by_object(a == b, objects)
    if len(names) == 0:
        raise ValueError("no samples to compare")
    sums = np.stack([agree, sums_by_object(a, objects)[0], sums_by_object(b, objects)[0], counts])
    total = sums.sum(axis=1)
    observed, first, second = total[:3] / total[3]
    value = float(kappa(observed, first, second))
    low = high = float("nan")
    if len(names) > 1:
        drawn = resampling_weights(len(names), resamples=resamples, seed=seed) @ sums.T
        shares = drawn[:, :3] / drawn[:, 3:]
        low, high = (
            float(bound) for bound in percentiles(kappa(shares[:, 0], shares[:, 1], shares[:, 2]), confidence)
        )
    expected = float(first * second + (1 - first) * (1 - second))
    return ErrorConsistency(value, low, high, float(observed), expected, len(names))
