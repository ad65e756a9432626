"""Two models on the same samples: differences with interval, and tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import bdtr

from robustness.seeds import numpy_generator
from robustness.statistics.bootstrap import RESAMPLES, percentiles, resampling_weights, sums_by_object
from robustness.statistics.proportions import CONFIDENCE

EXACT_SIGN_FLIPS = 12  # 4096 patterns: below the price of the random flips


class PairedDifference(NamedTuple):
    """a − b with its interval over objects, a two-sided p and a verdict: higher, lower or undecided."""

    difference: float
    low: float
    high: float
    p: float
    n: int
    verdict: str


class McNemar(NamedTuple):
    """Samples that only a (only b) has right, and the exact two-sided p."""

    only_a: int
    only_b: int
    p: float


def verdict(low: float, high: float) -> str:
    """``higher`` if the interval lies above 0, ``lower`` if below, ``undecided`` if it holds 0 or is NaN."""
    if low > 0:
        return "higher"
    if high < 0:
        return "lower"
    return "undecided"


def sign_flip_p(differences: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """Two-sided p of the sum of ``differences`` (G,), one per object, under random exchange of the models.

    If the two models are alike, the sign of each object's difference is a fair coin. All patterns are
    counted for up to 12 objects that differ, else ``resamples`` random ones, where the observed pattern
    counts as one of them so that p is never 0 (Phipson & Smyth 2010).
    """
    differences = np.asarray(differences, dtype=np.float64)
    differences = differences[differences != 0]
    count = len(differences)
    if count == 0:
        return 1.0
    observed = abs(differences.sum())
    tolerance = 1e-9 * np.abs(differences).sum()
    if count <= EXACT_SIGN_FLIPS:
        bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        sums = np.abs((1.0 - 2.0 * bits) @ differences)
        return float(np.mean(sums >= observed - tolerance))
    generator = numpy_generator(seed, "sign flip", count)
    signs = generator.integers(0, 2, size=(resamples, count)) * 2.0 - 1.0
    extreme = np.sum(np.abs(signs @ differences) >= observed - tolerance)
    return float((1 + extreme) / (1 + resamples))


def paired_difference(
    a: np.ndarray | Sequence[float],
    b: np.ndarray | Sequence[float],
    objects: Sequence | np.ndarray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> PairedDifference:
    """mean(a) − mean(b) of two models' values (N,) on the same samples, resampling ``objects`` (N,)."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"not the same samples: {a.shape} and {b.shape}")
    sums, counts, names = sums_by_object(a - b, objects)
    if len(names) == 0:
        raise ValueError("no samples to compare")
    difference = float(sums.sum() / counts.sum())
    low = high = float("nan")
    if len(names) > 1:
        weights = resampling_weights(len(names), resamples=resamples, seed=seed)
        low, high = (float(bound) for bound in percentiles((weights @ sums) / (weights @ counts), confidence))
    p = sign_flip_p(sums, resamples=resamples, seed=seed)
    return PairedDifference(difference, low, high, p, len(names), verdict(low, high))


def mcnemar(a: np.ndarray | Sequence[bool], b: np.ndarray | Sequence[bool]) -> McNemar:
    """McNemar's exact test (binomial, two-sided) of two models' correctness (N,) on the same samples.

    It takes samples as independent: use it for one sample an object, else :func:`paired_difference`.
    """
    a, b = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    if a.shape != b.shape:
        raise ValueError(f"not the same samples: {a.shape} and {b.shape}")
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    discordant = only_a + only_b
    p = 1.0 if discordant == 0 else min(1.0, 2 * float(bdtr(min(only_a, only_b), discordant, 0.5)))
    return McNemar(only_a, only_b, p)
