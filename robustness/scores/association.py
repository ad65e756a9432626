"""Question 6: do the probes' numbers predict the robustness numbers? Rank correlations with accuracy held.

Every probe number is correlated with every robustness number: Spearman's partial ρ over the units that have
both, clean accuracy held constant, since a probe may follow robustness only because both follow how well a
network was trained. Units must be independent: architectures, or paired differences of one model per
architecture; models that share an architecture are not.

Many pairs are tested, so each gets two corrections: ``p_family`` (Westfall & Young's max-T over all pairs:
the probability that the best pair is as strong when nothing is related) and ``p_fdr`` (Benjamini &
Hochberg). Both rest on permuting the units: the ranks of one number are permuted against the other's and
accuracy's, which is held as in the data (Manly 1997, on ranks). Permuting what accuracy leaves of the ranks
(Freedman & Lane 1983) would be wrong with few units: two numbers may by chance have the same order, but
permuted leftovers never do. The strength of a pair is |ρ|·√(n − 1), which has the
same spread for every number n of units: by |ρ| alone, the few pairs that five units have would drown all
others.

Own code: ``scipy.stats.spearmanr`` has neither partial correlations nor max-T.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from robustness.errors import UserError
from robustness.scores.table import metrics_matching, wide
from robustness.seeds import numpy_generator
from robustness.statistics.bootstrap import RESAMPLES, percentiles
from robustness.statistics.multiple import benjamini_hochberg, max_statistic

COLUMNS = (
    "probe_metric",
    "robustness_metric",
    "rho",
    "low",
    "high",
    "p",
    "p_fdr",
    "p_family",
    "plain",
    "n",
    "verdict",
)
_CELLS = 5_000_000  # of one part of the permuted correlations: 40 MB
MINIMUM = 5
"""Fewer units cannot give a significant rank correlation: the smallest two-sided p of four points is
2/24."""


def association(
    scores: pd.DataFrame,
    probe_metrics: str | Sequence[str] = "probe/*",
    robustness_metrics: str | Sequence[str] = (
        "pose/drop",
        "clutter/drop",
        "attack/worst_*/robust_accuracy",
    ),
    *,
    control: str = "clean/accuracy",
    seed: int = 0,
    resamples: int = RESAMPLES,
    permutations: int = 9999,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Rank correlations of all pairs, the strongest, by |ρ|·√(n − 1), first (columns: ``COLUMNS``).

    ``scores`` (model, metric, value, low, high, n), its models being the units; metrics by name or shell
    pattern; ``control``: the metric that is held constant, where all units of a pair have it. ``rho`` and its
    interval are with it held, ``plain`` is Spearman's ρ without. A pair is tested if at least five units have
    both numbers and neither is constant; else its ρ is NaN. The verdict is ``related`` if p_family ≤ alpha
    and the interval lies off 0, ``suggestive`` if p_fdr ≤ alpha, else ``undecided``. Raises UserError for a
    pattern that matches nothing.
    """
    names = list(dict.fromkeys(scores["metric"]))
    probes = metrics_matching(names, probe_metrics)
    targets = [name for name in metrics_matching(names, robustness_metrics) if name not in probes]
    if not targets:
        raise UserError("association: the robustness metrics are all among the probe metrics")
    table = wide(scores, [*probes, *targets])
    table = table.join(wide(scores, [control])) if control not in table else table

    size = (len(probes), len(targets))
    rho, low, high, p, plain = (np.full(size, np.nan) for _ in range(5))
    count = np.zeros(size, dtype=np.int64)
    largest_parts: list[np.ndarray] = []
    x, y = table[probes].to_numpy(), table[targets].to_numpy()
    z = table[control].to_numpy()
    for i, j, known in _blocks(x, y):
        n = int(known.sum())
        count[np.ix_(i, j)] = n
        if n < MINIMUM:
            continue
        first, second = x[np.ix_(known, i)].T, y[np.ix_(known, j)].T
        a, b = standard_ranks(first), standard_ranks(second)
        plain[np.ix_(i, j)] = a @ b.T
        held = standard_ranks(z[known]) if np.isfinite(z[known]).all() else np.full(n, np.nan)
        held = np.nan_to_num(held)  # one that is constant, or not known, holds nothing
        a = _without(a, held)
        observed = a @ _without(b, held).T
        rho[np.ix_(i, j)] = observed
        control_values = z[known] if held.any() else np.arange(0)
        low[np.ix_(i, j)], high[np.ix_(i, j)] = _interval(first, second, control_values, resamples, seed)
        # One random number per unit of the whole table, so that blocks with other gaps are permuted alike.
        keys = numpy_generator(seed, "permute units").random((permutations, len(table)))
        orders = np.argsort(keys[:, known], axis=1)
        extreme, largest = _permuted(a, b, held, orders, observed)
        p[np.ix_(i, j)] = np.where(np.isnan(observed), np.nan, (1 + extreme) / (1 + len(orders)))
        largest_parts.append(largest * np.sqrt(n - 1))
    strength = (np.abs(rho) * np.sqrt(np.maximum(count - 1, 0))).ravel()
    family = np.full(strength.shape, np.nan)
    if largest_parts:
        largest = np.max(largest_parts, axis=0)
        family = max_statistic(strength, largest[:, None])
    result = pd.DataFrame(
        {
            "probe_metric": np.repeat(probes, len(targets)),
            "robustness_metric": np.tile(targets, len(probes)),
            "rho": rho.ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
            "p": p.ravel(),
            "p_fdr": benjamini_hochberg(p.ravel()),
            "p_family": family,
            "plain": plain.ravel(),
            "n": count.ravel(),
        }
    )
    off_zero = (result["low"] > 0) | (result["high"] < 0)
    result["verdict"] = np.select(
        [(result["p_family"] <= alpha) & off_zero, result["p_fdr"] <= alpha],
        ["related", "suggestive"],
        default="undecided",
    )
    strongest = -np.nan_to_num(strength, nan=-1)
    order = np.lexsort((result["robustness_metric"], result["probe_metric"], strongest))
    return result.iloc[order].reset_index(drop=True)[list(COLUMNS)]


def _blocks(x: np.ndarray, y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(probe columns, target columns, models that have all of them), one entry per pattern of gaps."""
    patterns: dict[tuple[bytes, bytes], tuple[list[int], list[int], np.ndarray]] = {}
    known_x, known_y = ~np.isnan(x), ~np.isnan(y)
    by_x: dict[bytes, list[int]] = {}
    by_y: dict[bytes, list[int]] = {}
    for column in range(x.shape[1]):
        by_x.setdefault(known_x[:, column].tobytes(), []).append(column)
    for column in range(y.shape[1]):
        by_y.setdefault(known_y[:, column].tobytes(), []).append(column)
    for key_x, columns_x in by_x.items():
        for key_y, columns_y in by_y.items():
            known = known_x[:, columns_x[0]] & known_y[:, columns_y[0]]
            patterns[key_x, key_y] = (columns_x, columns_y, known)
    return [(np.array(i), np.array(j), known) for i, j, known in patterns.values()]


def _interval(
    first: np.ndarray, second: np.ndarray, held: np.ndarray, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bounds (P, Q) of the rank correlations of rows (P, n) and (Q, n), ``held`` (n,) constant
    (empty: nothing), resampling units."""
    n = first.shape[1]
    drawn = numpy_generator(seed, "bootstrap units", n).integers(0, n, size=(resamples, n))
    # How often each unit is in each resample: a resample's ranks need no more.
    times = np.stack([np.bincount(draw, minlength=n) for draw in drawn]).astype(float)
    a, b = _resampled_ranks(first, times), _resampled_ranks(second, times)
    weights = times[:, None]
    found = (a * weights) @ b.transpose(0, 2, 1)
    if len(held):
        c = np.nan_to_num(_resampled_ranks(held[None], times)).transpose(0, 2, 1)
        with_first, with_second = (a * weights) @ c, ((b * weights) @ c).transpose(0, 2, 1)
        room = np.sqrt(np.clip((1 - with_first**2) * (1 - with_second**2), 0, None))
        found = np.where(room > 1e-6, (found - with_first * with_second) / np.maximum(room, 1e-6), np.nan)
    return percentiles(found)


def _without(ranks: np.ndarray, held: np.ndarray) -> np.ndarray:
    """What ``held`` (n,), of unit length or 0, leaves of ranks (…, n): of unit length, NaN where nothing."""
    left = ranks - (ranks @ held)[..., None] * held
    length = np.sqrt((left**2).sum(axis=-1, keepdims=True))
    return np.where(length > 1e-6, left / np.maximum(length, 1e-6), np.nan)


def standard_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks (ties averaged) along the last axis, centred and scaled to unit length: (…, n) → (…, n).

    The inner product of two such rows is Spearman's correlation. A constant row has no ranks: NaN.
    """
    from scipy.stats import rankdata  # imported here: scipy.stats is slow to import, and few need it

    ranks = rankdata(values, axis=-1)
    ranks = ranks - ranks.mean(axis=-1, keepdims=True)
    length = np.sqrt(np.sum(ranks * ranks, axis=-1, keepdims=True))
    return np.where(length > 0, ranks / np.where(length > 0, length, 1.0), np.nan)


def _resampled_ranks(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Ranks of rows (P, n) in resamples that hold point k ``times[r, k]`` times: (R, P, n), centred and
    scaled so that the sum of squares over a resample is 1; NaN where a resample is constant."""
    below = (values[:, None, :] < values[:, :, None]) + 0.5 * (values[:, None, :] == values[:, :, None])
    ranks = np.tensordot(times, below, axes=(1, 2))
    weights = times[:, None]
    ranks -= (ranks * weights).sum(-1, keepdims=True) / weights.sum(-1, keepdims=True)
    length = np.sqrt((ranks**2 * weights).sum(-1, keepdims=True))
    return np.where(length > 1e-9, ranks / np.where(length > 1e-9, length, 1.0), np.nan)


def _permuted(
    a: np.ndarray, b: np.ndarray, held: np.ndarray, orders: np.ndarray, observed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How often each pair's |ρ| is reached (P, Q), and the largest |ρ| of all pairs (R,), over R orders.

    ``a`` (P, n): ranks without ``held`` (n,); ``b`` (Q, n): ranks, permuted before they lose ``held``.

    In parts of the orders: all permuted correlations of all pairs at once would take gigabytes.
    """
    extreme = np.zeros(observed.shape, dtype=np.int64)
    largest = np.zeros(len(orders))
    step = max(1, _CELLS // max(1, observed.size))
    for start in range(0, len(orders), step):
        part = orders[start : start + step]
        left = np.nan_to_num(_without(b[:, part], held))
        permuted = np.abs(np.einsum("pn,qrn->rpq", a, left, optimize=True))
        extreme += np.sum(permuted >= np.abs(observed) - 1e-12, axis=0)
        known = permuted[:, ~np.isnan(observed)]
        if known.shape[1]:
            largest[start : start + step] = known.max(axis=1)
    return extreme, largest
