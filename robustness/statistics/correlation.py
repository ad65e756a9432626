"""Spearman's rank correlation with a bootstrap interval and a permutation p."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from robustness.seeds import numpy_generator
from robustness.statistics.bootstrap import RESAMPLES, percentiles
from robustness.statistics.proportions import CONFIDENCE

EXACT_PERMUTATIONS = 7  # 5040 orders


class Correlation(NamedTuple):
    """Rank correlation in [−1, 1] with its interval over the n points, and a two-sided permutation p."""

    rho: float
    low: float
    high: float
    p: float
    n: int


def standard_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks (ties averaged) along the last axis, centred and scaled to unit length: (…, n) → (…, n).

    The inner product of two such rows is Spearman's correlation. A constant row has no ranks: NaN.
    """
    from scipy.stats import rankdata  # imported here: scipy.stats is slow to import, and few need it

    ranks = rankdata(values, axis=-1)
    ranks = ranks - ranks.mean(axis=-1, keepdims=True)
    length = np.sqrt(np.sum(ranks * ranks, axis=-1, keepdims=True))
    return np.where(length > 0, ranks / np.where(length > 0, length, 1.0), np.nan)


def correlate_ranks(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's correlation of every row of ``first`` (P, n) with every row of ``second`` (Q, n): (P, Q)."""
    return np.clip(standard_ranks(first) @ standard_ranks(second).T, -1.0, 1.0)


def permutations(n: int, count: int, seed: int) -> np.ndarray:
    """Orders of n things, (P, n) int: all n! of them up to n = 7, else ``count`` random ones."""
    if n <= EXACT_PERMUTATIONS:
        return np.array(list(itertools.permutations(range(n))), dtype=np.int64).reshape(math.factorial(n), n)
    generator = numpy_generator(seed, "permutation", n)
    return np.argsort(generator.random((count, n)), axis=1)


def spearman(
    x: np.ndarray | Sequence[float],
    y: np.ndarray | Sequence[float],
    *,
    resamples: int = RESAMPLES,
    permutation_count: int = 9999,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Correlation:
    """Spearman's ρ of x and y (n,); points with a NaN are left out; fewer than three points give NaN.

    The interval resamples points (a resample of one repeated value has no ranks and is left out); p is the
    share of orders of y with |ρ| at least as large, all orders up to n = 7, else random ones.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"x and y must be of one length: {x.shape} and {y.shape}")
    known = ~(np.isnan(x) | np.isnan(y))
    x, y = x[known], y[known]
    n = len(x)
    nothing = Correlation(float("nan"), float("nan"), float("nan"), float("nan"), n)
    if n < 3:
        return nothing
    first, second = standard_ranks(x), standard_ranks(y)
    rho = float(np.clip(first @ second, -1, 1))
    if math.isnan(rho):
        return nothing
    drawn = numpy_generator(seed, "bootstrap points", n).integers(0, n, size=(resamples, n))
    draws = np.sum(standard_ranks(x[drawn]) * standard_ranks(y[drawn]), axis=1)
    low, high = (float(bound) for bound in percentiles(np.clip(draws, -1, 1), confidence))
    orders = permutations(n, permutation_count, seed)
    extreme = int(np.sum(np.abs(second[orders] @ first) >= abs(rho) - 1e-12))
    p = extreme / len(orders) if n <= EXACT_PERMUTATIONS else (1 + extreme) / (1 + len(orders))
    return Correlation(rho, low, high, float(p), n)
