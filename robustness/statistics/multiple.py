"""Corrections for many tests at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p: np.ndarray | Sequence[float]) -> np.ndarray:
    """Adjusted p of Holm (1979), (M,): rejecting those ≤ α keeps the chance of any false rejection ≤ α.

    NaN entries are tests that were not done: they stay NaN and do not count. Raises ValueError for p
    outside [0, 1]. Own code: SciPy has no Holm.
    """
    p = np.asarray(p, dtype=np.float64)
    if np.any((p < 0) | (p > 1)):
        raise ValueError("a p lies outside [0, 1]")
    result = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    result[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return result


def benjamini_hochberg(p: np.ndarray | Sequence[float]) -> np.ndarray:
    """Adjusted p of Benjamini & Hochberg (1995), (M,): the expected share of false ones among the rejected.

    NaN entries are tests that were not done: they stay NaN and do not count. Raises ValueError for p
    outside [0, 1].
    """
    from scipy.stats import false_discovery_control

    result = np.array(p, dtype=np.float64)
    known = ~np.isnan(result)
    if known.any():
        result[known] = false_discovery_control(result[known])
    return result


def max_statistic(observed: np.ndarray, permuted: np.ndarray) -> np.ndarray:
    """Adjusted p (M,) of Westfall & Young (1993): how often the largest permuted statistic reaches each.

    ``observed`` (M,), ``permuted`` (P, M): the same statistics under P joint permutations. It keeps the
    chance of any false rejection like Holm's, uses the dependence between the tests, and, unlike Holm's with
    permutation p's of at least 1 / (P + 1), can reach significance however many tests there are.
    """
    observed, permuted = np.abs(np.asarray(observed)), np.abs(np.asarray(permuted))
    largest = np.nanmax(permuted, axis=1)
    reached = np.sum(largest[:, None] >= observed[None, :] - 1e-12, axis=0)
    return np.where(np.isnan(observed), np.nan, (1 + reached) / (1 + len(largest)))
