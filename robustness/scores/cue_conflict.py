"""Scores of the cue conflict, objects that wear the materials of another class: shape or material?

R. Geirhos et al., ImageNet-trained CNNs are biased towards texture, ICLR 2019:

- ``cue/shape_share`` = shape answers / (shape + material answers); every other answer is left out. A model
  that answers at random has 0.5
- ``cue/shape_answers`` and ``cue/surface_answers``: the two as shares of all images in conflict, which say
  how many answers the first one rests on
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from robustness.scores.cluster_sums import ClusterSums, Totals
from robustness.scores.conditions import Condition
from robustness.scores.table import Metric

SURFACE_LABEL = "surface_label"
"""The column of the image set's table: the class whose materials the object wears; −1 for its own."""

CUE = Condition("cue")
STATISTICS = ("shape_share", "shape_answers", "surface_answers")


def add_columns(clusters: ClusterSums, predictions: pd.DataFrame, place: np.ndarray) -> None:
    """Add the answers of a model's images in conflict to its sums, where there are any."""
    if SURFACE_LABEL not in predictions.columns:
        return
    surface = predictions[SURFACE_LABEL].fillna(-1).to_numpy()
    conflict = surface >= 0
    if not conflict.any():
        return
    answer = predictions["prediction"].to_numpy()[conflict]
    by_shape = answer == predictions["label"].to_numpy()[conflict]
    by_surface = answer == surface[conflict]
    objects = place[conflict]
    decided = by_shape | by_surface
    clusters.add_samples((CUE, "shape_share"), objects[decided], by_shape[decided])
    clusters.add_samples((CUE, "shape_answers"), objects, by_shape)
    clusters.add_samples((CUE, "surface_answers"), objects, by_surface)


def metrics(totals: Totals) -> Iterator[Metric]:
    """The scores that the totals have columns for."""
    for statistic in STATISTICS:
        name = (CUE, statistic)
        if name in totals:
            yield Metric(CUE.score(statistic), totals.mean(name), totals.n(name), True)
