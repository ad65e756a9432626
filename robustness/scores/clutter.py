"""Scores of clutter: background swaps, the number of distractors that halves recognition, visible fraction.

- ``clutter/bg_gap`` = acc(mixed_same) − acc(mixed_rand) (Xiao et al. 2020): what is lost when the background
  no longer comes from the object's own class
- ``clutter/background_reliance`` = accuracy on the background alone (the mean of the only_bg levels);
  reliance is what lies above chance
- ``clutter/n50``: number of distractors at which half of the clean accuracy above chance is lost, between
  the levels by straight lines. If it is not lost within the levels, the value is missing and ``low`` says
  from where on it could lie: *more than* so many. An upper bound beyond the last level is missing likewise.
- ``clutter/visible_fraction/<from>-<to>/accuracy`` and ``clutter/clutter_fraction/…``: clutter's samples by
  the share of the target that is visible, or of the image that distractors cover
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
import pandas as pd

from robustness.scores.cluster_sums import ClusterSums, Totals
from robustness.scores.conditions import CLEAN, Condition, is_swap, number
from robustness.scores.table import Metric

FRACTIONS = ("visible_fraction", "clutter_fraction")
EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Bins of the fractions: above the lower edge, up to and with the upper one; the first holds 0."""
ONLY_BACKGROUND = ("only_bg", "only_bg_b", "only_bg_t")
DISTRACTORS = "clutter/distractors"
CLUTTER = Condition("clutter")


def add_columns(
    clusters: ClusterSums, predictions: pd.DataFrame, place: np.ndarray, correct: np.ndarray
) -> None:
    """Add the columns of accuracy by fraction to a model's sums, where the table has the fractions."""
    is_clutter = (predictions["shift"] == "clutter").to_numpy()
    for name in FRACTIONS:
        if name not in predictions.columns:
            continue
        values = predictions[name].to_numpy(dtype=np.float64)
        for low, high in pairwise(EDGES):
            inside = is_clutter & (values <= high) & ((values > low) | (low == 0.0) & (values >= 0))
            if inside.any():
                column = ("fraction", Condition("clutter", name, f"{low:g}-{high:g}"))
                clusters.add_samples(column, place[inside], correct[inside])


def metrics(totals: Totals, by_path: Mapping[str, list[Condition]], classes: int) -> Iterator[Metric]:
    """The scores of clutter that the totals have columns for."""
    for conditions in by_path.values():
        names = {condition.level: condition for condition in conditions}
        if not is_swap(names):
            continue
        if {"mixed_same", "mixed_rand"} <= set(names):
            pair = [names["mixed_same"], names["mixed_rand"]]
            gap = totals.mean(pair[0]) - totals.mean(pair[1])
            yield Metric(CLUTTER.score("bg_gap"), gap, totals.n(*pair))
        alone = [names[level] for level in ONLY_BACKGROUND if level in names]
        if alone:
            reliance = np.mean([totals.mean(name) for name in alone], axis=0)
            yield Metric(CLUTTER.score("background_reliance"), reliance, totals.n(*alone), True)
    numeric = [c for c in by_path.get(DISTRACTORS, []) if np.isfinite(number(c.level))]
    if numeric and CLEAN in totals:
        points = {number(c.level): totals.mean(c) for c in numeric}
        points.setdefault(0.0, totals.mean(CLEAN))
        yield Metric(CLUTTER.score("n50"), half_point(points, 1 / classes), totals.n(*numeric))
    for name in totals.columns:
        if name[0] == "fraction":
            yield Metric(name[1].score("accuracy"), totals.mean(name), totals.n(name), True)


def half_point(points: Mapping[float, np.ndarray], chance: float) -> np.ndarray:
    """Where each curve (level → accuracies (D,)) first falls to halfway between its start and chance: (D,).

    Straight lines between the levels; infinite where it does not fall so far, NaN where it starts at chance
    or below.
    """
    levels = np.array(sorted(points))
    curves = np.stack([points[level] for level in levels], axis=1)
    goal = chance + (curves[:, :1] - chance) / 2
    below = curves <= goal
    reached = below.any(axis=1)
    after = np.maximum(below.argmax(axis=1), 1)
    draw = np.arange(len(curves))
    left, right = curves[draw, after - 1], curves[draw, after]
    fall = left - right
    share = (left - goal[:, 0]) / np.where(fall > 0, fall, 1.0)
    point = levels[after - 1] + share * (levels[after] - levels[after - 1])
    return np.where(curves[:, 0] > chance, np.where(reached, point, np.inf), np.nan)
