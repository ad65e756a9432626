"""Scores of the table ``predictions``: clean accuracy and everything that shifts take from it.

With acc_c the accuracy under condition c and r_c the clean accuracy *of the same objects* (every shifted
sample is paired with its object's mean clean correctness):

- ``clean/accuracy``; ``<shift>/<factor>/<level>/accuracy``
- ``clean/balanced_accuracy``: the mean over classes of the accuracy within a class, so that naming the
  largest class gives 1/K however many images it has
- ``…/drop`` = r_c − acc_c; ``…/relative_drop`` = 1 − acc_c / r_c;
  ``…/retained`` = (acc_c − 1/K) / (r_c − 1/K), the share of the accuracy above chance that is kept
- a factor: ``<shift>/<factor>/drop`` (also ``relative_drop``, ``retained``) from the mean of acc_c and of r_c
  over its levels that are not clean; ``…/worst_accuracy`` and ``…/worst_drop`` at the level that is worst in
  the data; ``…/area``, the area under accuracy over a numeric level (trapezoids, the clean level included)
  divided by the range of the level, so a mean accuracy over the range
- a shift: ``<shift>/drop`` (also ``relative_drop``, ``retained``, ``accuracy``) from the mean over its
  factors, each factor counting once however many levels it has; the view sphere and background swaps are
  no part of it: they have scores of their own (:mod:`~robustness.scores.sphere`,
  :mod:`~robustness.scores.clutter`), as have corruptions (:mod:`~robustness.scores.corruption`) and, beside
  its drops, the cue conflict (:mod:`~robustness.scores.cue_conflict`)
- a category of corruptions: ``corruption/category/<category>/accuracy`` and the drops, as of a shift, from
  the mean over its corruptions

``relative_drop`` and ``retained`` are left out where the clean accuracy is not significantly above chance
(the interval of r_c holds 1/K): a share of nothing means nothing. Intervals resample objects, with the same
draws for every model.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from robustness.errors import UserError
from robustness.scores import clutter, corruption, cue_conflict, sphere
from robustness.scores.cluster_sums import ClusterSums, Totals, draw_weights, ratio
from robustness.scores.conditions import (
    CLEAN,
    RANDOM,
    SPHERE,
    Condition,
    clean_level,
    in_order,
    is_swap,
    number,
)
from robustness.scores.table import Metric, join, require, rows
from robustness.statistics.bootstrap import RESAMPLES, percentiles

REQUIRED = ("model", "shift", "factor", "level", "sample", "object", "label", "prediction")


def from_predictions(
    predictions: pd.DataFrame,
    *,
    classes: int,
    seed: int = 0,
    resamples: int = RESAMPLES,
    normaliser: str | Mapping[str, float] | None = None,
    samples: pd.DataFrame | None = None,
    clean_levels: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The scores (model, metric, value, low, high, n) of the table ``predictions``.

    ``classes``: K, for chance. ``normaliser``: what corruption errors are divided by, a model of the table
    or mean errors (fractions) by corruption; without it there is no mCE. ``samples``: the image set's
    table, for accuracy against ``visible_fraction`` and ``clutter_fraction`` and for the cue conflict's
    ``surface_label`` where it has these columns.
    ``clean_levels``: the clean level by ``shift/factor``, where it is neither 0 nor the usual word.
    Raises UserError for a missing column, a normaliser that is no model of the table, or too few classes.
    """
    require(predictions, REQUIRED, "predictions")
    if classes < 2:
        raise UserError(f"classes: {classes} is too few to speak of chance; use 2 or more")
    models = sorted(predictions["model"].unique())
    if isinstance(normaliser, str) and normaliser not in models:
        raise UserError(
            f"normaliser: {normaliser!r} is no model of the table predictions; has {', '.join(models)}"
        )
    predictions = with_columns_of(samples, predictions)
    objects = pd.Index(np.sort(predictions["object"].unique()))
    weights = draw_weights(len(objects), resamples=resamples, seed=seed)
    parts = dict(list(predictions.groupby("model", sort=True, observed=True)))
    reference: Totals | Mapping[str, float] | None = None
    if isinstance(normaliser, str):
        reference = predictions_by_cluster(parts[normaliser], objects).totals(weights)
    else:
        reference = normaliser
    tables = []
    for model in models:
        totals = predictions_by_cluster(parts[model], objects).totals(weights)
        tables.append(rows(model, metrics(totals, classes, reference=reference, clean_levels=clean_levels)))
    return join(tables)


def with_columns_of(samples: pd.DataFrame | None, predictions: pd.DataFrame) -> pd.DataFrame:
    """``predictions`` with what ``samples`` knows of stored images.

    An image-space condition carries the id of the clean image it was made from, whose fractions are not its
    own: rows join only where shift, factor and level agree too.
    """
    wanted = (*clutter.FRACTIONS, cue_conflict.SURFACE_LABEL)
    known = [name for name in wanted if samples is not None and name in samples.columns]
    if not known:
        return predictions
    key = ["sample", "shift", "factor", "level"]
    return predictions.drop(columns=known, errors="ignore").merge(samples[key + known], on=key, how="left")


def predictions_by_cluster(predictions: pd.DataFrame, objects: pd.Index) -> ClusterSums:
    """The sums of ONE model over the sorted ``objects``.

    Columns: ``clean``; (class, k), its part of class k; every other ``Condition`` c; (paired, c), its samples
    whose object has a clean image; (reference, c), the clean correctness of those objects, weighted alike;
    the sphere's and clutter's.
    """
    clusters = ClusterSums(len(objects))
    place = objects.get_indexer(predictions["object"])
    correct = (predictions["prediction"].to_numpy() == predictions["label"].to_numpy()).astype(np.float64)
    shift, factor, level = (predictions[name].astype(str) for name in ("shift", "factor", "level"))
    codes, names = pd.factorize(shift + "\0" + factor + "\0" + level, sort=True)
    conditions = [Condition(*name.split("\0")) for name in names]
    cells = np.ravel_multi_index((codes, place), (len(names), len(objects)))
    size = len(names) * len(objects)
    sums = np.bincount(cells, weights=correct, minlength=size).reshape(len(names), len(objects))
    counts = np.bincount(cells, minlength=size).reshape(len(names), len(objects)).astype(np.float64)
    is_clean = np.array([condition.shift == CLEAN for condition in conditions])
    clean_sum, clean_count = sums[is_clean].sum(axis=0), counts[is_clean].sum(axis=0)
    clean_mean = np.where(clean_count > 0, clean_sum / np.maximum(clean_count, 1), 0.0)
    has_clean = clean_count > 0
    if has_clean.any():
        clusters.add(CLEAN, clean_sum, clean_count)
        kinds = np.zeros(len(objects), dtype=np.int64)
        kinds[place] = predictions["label"]
        for kind in np.unique(kinds[has_clean]):
            own = kinds == kind
            clusters.add(("class", int(kind)), clean_sum * own, clean_count * own)
    for index in np.flatnonzero(~is_clean):
        name = conditions[index]
        clusters.add(name, sums[index], counts[index])
        paired = counts[index] * has_clean
        if paired.any():
            clusters.add(("paired", name), sums[index] * has_clean, paired)
            clusters.add(("reference", name), clean_mean * paired, paired)
    sphere.add_columns(clusters, predictions, place, correct)
    clutter.add_columns(clusters, predictions, place, correct)
    cue_conflict.add_columns(clusters, predictions, place)
    return clusters


def conditions_of(totals: Totals) -> dict[str, list[Condition]]:
    """The conditions that are not clean, by ``shift/factor``, levels in order."""
    found: dict[str, dict[str, Condition]] = {}
    for condition in totals.columns:
        if isinstance(condition, Condition):
            found.setdefault(condition.path, {})[condition.level] = condition
    return {path: [levels[level] for level in in_order(levels)] for path, levels in sorted(found.items())}


def metrics(
    totals: Totals,
    classes: int,
    *,
    reference: Totals | Mapping[str, float] | None = None,
    clean_levels: Mapping[str, str] | None = None,
) -> Iterator[Metric]:
    """Every score of one model's totals. The draws may be a bootstrap's or a permutation test's."""
    if CLEAN in totals:
        yield Metric(Condition(CLEAN).score("accuracy"), totals.mean(CLEAN), totals.n(CLEAN), True)
        of_classes = [totals.mean(name) for name in totals.columns if name[0] == "class"]
        with warnings.catch_warnings():  # a draw without any clean image has no mean
            warnings.simplefilter("ignore", RuntimeWarning)
            balanced = np.nanmean(of_classes, axis=0)
        yield Metric(Condition(CLEAN).score("balanced_accuracy"), balanced, totals.n(CLEAN), True)
    by_path = conditions_of(totals)
    # The means of their factors, by shift and by category of corruptions.
    groups: dict[Condition, list[tuple[np.ndarray, np.ndarray, int]]] = {}
    for path, conditions in by_path.items():
        if path == RANDOM:
            continue
        for condition in conditions:
            yield Metric(condition.score("accuracy"), totals.mean(condition), totals.n(condition), True)
        if path == SPHERE:
            continue
        shifted = [c for c in conditions if c.level != clean_level(path, clean_levels)]
        shifted = [c for c in shifted if ("paired", c) in totals]
        pairs = [
            (totals.mean(("paired", c)), totals.mean(("reference", c)), totals.n(("paired", c)))
            for c in shifted
        ]
        for condition, pair in zip(shifted, pairs, strict=True):
            yield from _losses(condition, *pair, classes)
        if is_swap([c.level for c in conditions]):
            continue
        factor = conditions[0]._replace(level="")
        yield from _curve(totals, factor, conditions, clean_level(path, clean_levels))
        if pairs:
            together = _mean_pair(pairs)
            yield from _losses(factor, *together, classes)
            worst = int(np.nanargmax([reference[0] - shifted[0] for shifted, reference, _ in pairs]))
            loss = pairs[worst][1] - pairs[worst][0]
            yield Metric(factor.score("worst_drop"), loss, pairs[worst][2], selected=True)
            for group in (Condition(factor.shift), corruption.category(factor)):
                if group is not None:
                    groups.setdefault(group, []).append(together)
    for group, factors in groups.items():
        together = _mean_pair(factors)
        yield Metric(group.score("accuracy"), together[0], together[2], True)
        yield from _losses(group, *together, classes)
    yield from sphere.metrics(totals)
    yield from clutter.metrics(totals, by_path, classes)
    yield from cue_conflict.metrics(totals)
    yield from corruption.metrics(totals, by_path, reference)


def _mean_pair(pairs: list[tuple[np.ndarray, np.ndarray, int]]) -> tuple[np.ndarray, np.ndarray, int]:
    """The means of the shifted and of the clean accuracies, and the smallest number of objects."""
    shifted = np.mean([pair[0] for pair in pairs], axis=0)
    reference = np.mean([pair[1] for pair in pairs], axis=0)
    return shifted, reference, min(pair[2] for pair in pairs)


def _losses(
    of: Condition, shifted: np.ndarray, reference: np.ndarray, n: int, classes: int
) -> Iterator[Metric]:
    """Drop in points, relative, and what is retained above chance."""
    yield Metric(of.score("drop"), reference - shifted, n)
    chance = 1 / classes
    low = percentiles(reference[1:])[0] if len(reference) > 1 else np.nan
    if low > chance:
        yield Metric(of.score("relative_drop"), 1 - ratio(shifted, reference), n)
        yield Metric(of.score("retained"), ratio(shifted - chance, reference - chance), n)


def _curve(totals: Totals, factor: Condition, conditions: list[Condition], clean: str) -> Iterator[Metric]:
    """Worst level and normalised area under the curve of one factor."""
    means = {condition.level: totals.mean(condition) for condition in conditions}
    # The worst level is that of the data; taking the minimum in every resample would be biased downwards.
    worst = min(means, key=lambda level: means[level][0])
    n = totals.n(factor._replace(level=worst))
    yield Metric(factor.score("worst_accuracy"), means[worst], n, True, True)
    points = {number(level): mean for level, mean in means.items() if np.isfinite(number(level))}
    if len(points) < len(means):
        return
    if np.isfinite(number(clean)) and CLEAN in totals:
        points.setdefault(number(clean), totals.mean(CLEAN))
    if len(points) > 1:
        yield Metric(factor.score("area"), normalised_area(points), totals.n(*conditions), True)


def normalised_area(points: Mapping[float, np.ndarray]) -> np.ndarray:
    """The area under a curve (level → accuracies (D,)) by trapezoids, divided by their range: (D,)."""
    levels = np.array(sorted(points))
    values = np.stack([points[level] for level in levels])
    return np.trapezoid(values, levels, axis=0) / (levels[-1] - levels[0])
