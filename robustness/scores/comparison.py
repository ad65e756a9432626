"""Two models on the same samples: every score's difference, with interval, p and verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from robustness.errors import UserError, nearest
from robustness.scores import attacks as attack_scores
from robustness.scores import predictions as prediction_scores
from robustness.scores.cluster_sums import ClusterSums, draw_weights
from robustness.scores.table import Metric, metrics_matching
from robustness.seeds import numpy_generator
from robustness.statistics.bootstrap import RESAMPLES, percentiles
from robustness.statistics.multiple import holm

COLUMNS = (
    "metric",
    "model_a",
    "model_b",
    "a",
    "b",
    "difference",
    "low",
    "high",
    "p",
    "p_holm",
    "n",
    "verdict",
)


def compare(
    table: pd.DataFrame,
    model_a: str,
    model_b: str,
    *,
    metrics: str | Sequence[str] | None = None,
    classes: int | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    clean_levels: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Paired differences a − b of the scores of two models: one row per metric.

    ``table`` is ``predictions`` (then ``classes`` is needed) or ``attacks``; ``metrics`` names scores, shell
    patterns allowed (default: all). Only samples that both models have under the same condition count.
    ``low`` and ``high``: both models' scores are taken from the same resamples of objects. ``p``: two-sided,
    from exchanging the two models in randomly chosen objects (none for the scores at a worst condition, which
    was chosen in the data, and for medians); ``p_holm``: corrected for the rows asked for.
    The verdict says whether a's score is ``higher``, ``lower`` or, with 0 in the interval, ``undecided``; it
    does not correct for many rows. A number beyond what was measured (an infinite median) is missing.
    Raises UserError for an unknown model or metric, or without a common sample.
    """
    is_attack = "epsilon" in table.columns
    key = ["factor", "scaled", "sample"] if is_attack else ["shift", "factor", "level", "sample"]
    if "model" not in table.columns:
        raise UserError("table: lacks the column 'model'; give the table predictions or attacks")
    known = sorted(table["model"].astype(str).unique())
    for model in (model_a, model_b):
        if model not in known:
            raise UserError(f"compare: the table has no model {model!r}; {nearest(model, known)}")
    table = table[table["model"].isin((model_a, model_b))]
    if is_attack:
        table = attack_scores.prepared(table)
    first, second = _common(table, model_a, model_b, key)
    objects = pd.Index(np.sort(first["object"].unique()))
    weights = draw_weights(len(objects), resamples=resamples, seed=seed)

    if is_attack:
        cluster_sums = [attack_scores.attacks_by_cluster(part, objects) for part in (first, second)]
    else:
        if classes is None:
            raise UserError("compare: classes is missing; the table predictions needs the number of classes")
        cluster_sums = [prediction_scores.predictions_by_cluster(part, objects) for part in (first, second)]

    def scores(sums: ClusterSums, rows: np.ndarray) -> dict[str, Metric]:
        totals = sums.totals(rows)
        found: Iterable[Metric]
        if is_attack:
            found = attack_scores.metrics(totals)
        else:
            found = prediction_scores.metrics(totals, classes, clean_levels=clean_levels)
        return {metric.name: metric for metric in found}

    a, b = (scores(clusters, weights) for clusters in cluster_sums)
    if is_attack:
        for part, found in ((first, a), (second, b)):
            medians = attack_scores.median_distances(part, objects, weights)
            found.update((metric.name, metric) for metric in medians)
    names = [name for name in a if name in b]
    chosen = names if metrics is None else metrics_matching(names, metrics)
    flipped = _exchanged(cluster_sums[0], cluster_sums[1], scores, resamples=resamples, seed=seed)

    rows = []
    for name in chosen:
        with np.errstate(invalid="ignore"):  # infinite medians on both sides
            draws = a[name].draws - b[name].draws
        n = min(a[name].n, b[name].n)
        low, high = (float(x) for x in percentiles(draws[1:])) if n > 1 else (np.nan, np.nan)
        p = float("nan") if a[name].selected else _p(draws[0], flipped.get(name))
        values = (a[name].draws[0], b[name].draws[0])
        rows.append((name, model_a, model_b, *values, draws[0], low, high, p, np.nan, n, verdict(low, high)))
    result = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in ("a", "b", "difference", "low", "high"):
        result[column] = result[column].where(np.isfinite(result[column].astype(float)))
    result["p_holm"] = holm(result["p"].to_numpy(dtype=np.float64))
    return result


def verdict(low: float, high: float) -> str:
    """``higher`` if the interval lies above 0, ``lower`` if below, ``undecided`` if it holds 0 or is NaN."""
    if low > 0:
        return "higher"
    if high < 0:
        return "lower"
    return "undecided"


def _common(
    table: pd.DataFrame, model_a: str, model_b: str, key: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both models' rows on the (condition, sample) pairs that both have, in the same order."""
    sides = []
    for model in (model_a, model_b):
        part = table[table["model"] == model]
        index = pd.MultiIndex.from_frame(part[key])
        if index.has_duplicates:
            sample = part.loc[index.duplicated(), "sample"].iloc[0]
            raise UserError(f"compare: {model!r} has sample {sample} twice under one condition")
        sides.append(part.set_index(index))
    common = sides[0].index.intersection(sides[1].index).sort_values()
    if not len(common):
        raise UserError(f"compare: {model_a!r} and {model_b!r} have no sample in common")
    first, second = (side.loc[common].reset_index(drop=True) for side in sides)
    if not (first["object"].to_numpy() == second["object"].to_numpy()).all():
        raise UserError(f"compare: {model_a!r} and {model_b!r} name different objects for the same sample")
    return first, second


def _exchanged(
    first: ClusterSums, second: ClusterSums, scores, *, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Each score's difference (R,) when the models are exchanged in random objects (each with chance 1/2).

    One clusters holds both: the objects of the first model, then those of the second. A row of weights that
    picks the first model's share of an object for one side picks the second's for the other.
    """
    both = ClusterSums(2 * first.objects)
    for name in first.sums:
        if name in second.sums:
            both.add(
                name,
                np.concatenate([first.sums[name], second.sums[name]]),
                np.concatenate([first.counts[name], second.counts[name]]),
            )
    picks = numpy_generator(seed, "exchange", first.objects).integers(0, 2, size=(resamples, first.objects))
    picks = np.concatenate([np.ones((1, first.objects), dtype=picks.dtype), picks])  # the data come first
    left = scores(both, np.concatenate([picks, 1 - picks], axis=1).astype(np.float64))
    right = scores(both, np.concatenate([1 - picks, picks], axis=1).astype(np.float64))
    with np.errstate(invalid="ignore"):  # an infinite n50 on both sides
        return {name: (left[name].draws - right[name].draws)[1:] for name in left if name in right}


def _p(difference: float, flipped: np.ndarray | None) -> float:
    """Two-sided p, the observed exchange counted among the random ones; NaN where there is none."""
    if flipped is None or not np.isfinite(difference):
        return float("nan")
    flipped = flipped[np.isfinite(flipped)]
    if not len(flipped):
        return float("nan")
    extreme = np.sum(np.abs(flipped) >= abs(difference) - 1e-12)
    return float((1 + extreme) / (1 + len(flipped)))
