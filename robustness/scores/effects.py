"""What an axis changes on average: paired differences of twins, over architectures, seeds and objects.

One row per axis, its two values, what the other axis is held at, and metric; rows of the axis ``mean``, with
b empty, are means of the scores themselves, of front-end a under the held training. Twins differ in the axis
alone and see the same images; replicates from other seeds are averaged within their architecture. The mean
is over architectures, or over seeds where there is one architecture, and its interval holds the spread over
them and over objects (:mod:`robustness.statistics.crossed`). A model whose clean accuracy is not
significantly above what the most frequent class gives is left out, and its twins with it: it has nothing to
lose or keep.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from robustness.scores import attacks as attack_scores
from robustness.scores import predictions as prediction_scores
from robustness.scores.cluster_sums import draw_weights
from robustness.scores.conditions import CLEAN
from robustness.scores.table import Metric
from robustness.scores.twins import is_wanted, twins
from robustness.statistics.bootstrap import RESAMPLES, percentiles
from robustness.statistics.crossed import CrossedMean, crossed_mean

COLUMNS = ("axis", "a", "b", "held", "metric", "value", "low", "high", "error", "architectures", "seeds",
           "objects", "verdict", "needed_architectures", "needed_objects")  # fmt: skip
"""``held``: the value of the other axis (training for front-ends, front-end for trainings); ``value``: a − b,
or a where b is empty;
``seeds``: the smallest number of them within an architecture; ``needed_architectures`` counts seeds where
there is one architecture."""

MEAN = "mean"
SHARES = ("accuracy", "shape_share")
Draws = Mapping[str, tuple[np.ndarray, int]]  # metric → (1 + R,) draws, objects


def effects(
    predictions: pd.DataFrame,
    attacks: pd.DataFrame,
    models: pd.DataFrame,
    *,
    classes: int,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """The table ``effects`` (``COLUMNS``) from the tables of a run; ``classes``: K, for chance."""
    draws = draws_by_model(predictions, attacks, classes=classes, seed=seed, resamples=resamples)
    draws = {model: own for model, own in draws.items() if _learned(own, majority(predictions))}
    facts = models.drop_duplicates("model").set_index("model")
    groups: dict[tuple[str, ...], dict[str, list[tuple[str, ...]]]] = {}
    for model, fact in facts.iterrows():
        if model in draws:
            key = (MEAN, str(fact["frontend"]), "", str(fact["training"]))
            groups.setdefault(key, {}).setdefault(str(fact["architecture"]), []).append((str(model),))
    for axis, a, b in twins(models):
        if axis != "both" and a in draws and b in draws:
            held = facts.loc[a, "training" if axis == "frontend" else "frontend"]
            key = (axis, str(facts.loc[a, axis]), str(facts.loc[b, axis]), str(held))
            groups.setdefault(key, {}).setdefault(str(facts.loc[a, "architecture"]), []).append((a, b))
    rows = []
    for key, pairs in groups.items():
        seeds = min(map(len, pairs.values()))
        for metric in draws[next(iter(pairs.values()))[0][0]]:
            found = _mean(draws, pairs, metric)
            if found is not None:
                low, high = found.low, found.high
                if key[0] == MEAN and metric.endswith(SHARES):  # Student's interval knows no bounds
                    low, high = max(low, 0.0), min(high, 1.0)
                facts_of_mean = (found.value, low, high, found.error, len(pairs), seeds,
                                 found.objects, found.verdict, found.needed_units,
                                 found.needed_objects)  # fmt: skip
                rows.append((*key, metric, *facts_of_mean))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def majority(predictions: pd.DataFrame) -> float:
    """The accuracy of always naming the class that most clean images have; 0 without clean images."""
    labels = predictions.loc[predictions["shift"] == CLEAN].drop_duplicates("sample")["label"]
    return float(labels.value_counts(normalize=True).max()) if len(labels) else 0.0


def _learned(draws: Draws, most: float) -> bool:
    clean = draws.get(f"{CLEAN}/accuracy")
    return clean is None or float(percentiles(clean[0][1:])[0]) > most


def draws_by_model(
    predictions: pd.DataFrame, attacks: pd.DataFrame, *, classes: int, seed: int, resamples: int
) -> dict[str, Draws]:
    """Model → metric → its draws, of the metrics that twins are compared in; all models see the same
    resamples of objects."""
    found: dict[str, dict[str, tuple[np.ndarray, int]]] = {}

    def take(model: str, metrics: list[Metric]) -> None:
        wanted = {m.name: (m.draws, m.n) for m in metrics if is_wanted(m.name) and not m.selected}
        found.setdefault(model, {}).update(wanted)

    prepared = attack_scores.prepared(attacks)
    for table, sums, metrics in (
        (predictions, prediction_scores.predictions_by_cluster,
         lambda totals: prediction_scores.metrics(totals, classes)),
        (prepared, attack_scores.attacks_by_cluster, attack_scores.metrics),
    ):  # fmt: skip
        objects = pd.Index(np.sort(table["object"].unique()))
        weights = draw_weights(len(objects), resamples=resamples, seed=seed)
        for model, part in table.groupby("model", sort=True, observed=True):
            take(str(model), list(metrics(sums(part, objects).totals(weights))))
    return found


def _mean(
    draws: Mapping[str, Draws], pairs: Mapping[str, list[tuple[str, ...]]], metric: str
) -> CrossedMean | None:
    """The mean over architectures, or over the seeds of the only one; None where a model lacks the metric."""
    if any(metric not in draws[model] for own in pairs.values() for pair in own for model in pair):
        return None
    differences = [
        np.stack([draws[a][metric][0] - sum(draws[b][metric][0] for b in others) for a, *others in own])
        for own in pairs.values()
    ]
    objects = min(draws[model][metric][1] for own in pairs.values() for pair in own for model in pair)
    if objects < 2 or differences[0].shape[1] < 3:
        return None
    if len(differences) == 1:
        return crossed_mean(differences[0], objects)
    return crossed_mean(np.stack([own.mean(axis=0) for own in differences]), objects)
