"""Scores of confidence: does a model know when it is wrong, on clean images and under each shift?

Of the images of ``clean`` or a shift (background swaps, view sphere and random views apart), with confidence
the largest softmax probability:

- ``<shift>/overconfidence``: mean confidence less accuracy, with an interval over objects
- ``<shift>/calibration_error``: the expected calibration error over ``BINS`` bins of equally many images
  (Naeini et al. 2015, Nguyen & O'Connor 2015): the mean over bins of |mean confidence − accuracy|
- ``<shift>/calibration_error_by_chance``: what a perfectly calibrated model with these confidences shows in
  as many images, the mean and the middle 95 % of draws: the error above is one only where it lies higher
- ``<shift>/selective_accuracy``: accuracy on the half of the images of which the model is most confident
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from robustness.scores.cluster_sums import ClusterSums, draw_weights
from robustness.scores.conditions import RANDOM, SPHERE, SWAP_LEVELS, Condition
from robustness.scores.table import Metric, join, rows
from robustness.seeds import numpy_generator
from robustness.statistics.bootstrap import RESAMPLES

BINS = 15
KEPT = 0.5  # the share of the images that a selective model answers
CHANCE_DRAWS = 200


def from_confidences(predictions: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """The scores (model, metric, value, low, high, n) of the columns ``confidence``, ``label`` and
    ``prediction`` of the table ``predictions``."""
    path = predictions["shift"].astype(str) + "/" + predictions["factor"].astype(str)
    own = path.isin((SPHERE, RANDOM)) | predictions["level"].isin(SWAP_LEVELS)
    table = predictions[~own]
    table = table.assign(right=(table["prediction"] == table["label"]).astype(float))
    objects = pd.Index(np.sort(table["object"].unique()))
    weights = draw_weights(len(objects), resamples=resamples, seed=seed)
    parts = []
    for model, of_model in table.groupby("model", sort=True, observed=True):
        parts.append(rows(str(model), _of_model(str(model), of_model, objects, weights, seed)))
    return join(parts)


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The calibration error of ``right`` (…, N), 0 or 1, under confidences (N,): (…)."""
    order = np.argsort(confidence, kind="stable")
    gaps = [
        np.abs((confidence[part] - right[..., part]).mean(axis=-1)) * len(part) / len(order)
        for part in np.array_split(order, min(bins, len(order)))
    ]
    return np.sum(gaps, axis=0)


def _of_model(
    model: str, table: pd.DataFrame, objects: pd.Index, weights: np.ndarray, seed: int
) -> Iterator[Metric]:
    for shift, part in table.groupby("shift", sort=True):
        of = Condition(str(shift))
        confidence, right = part["confidence"].to_numpy(np.float64), part["right"].to_numpy()
        place = objects.get_indexer(part["object"])
        sure = np.zeros(len(part), dtype=bool)
        sure[np.argsort(-confidence, kind="stable")[: max(1, round(KEPT * len(part)))]] = True
        sums = ClusterSums(len(objects))
        sums.add_samples("excess", place, confidence - right)
        sums.add_samples("sure", place[sure], right[sure])
        totals = sums.totals(weights)
        yield Metric(of.score("overconfidence"), totals.mean("excess"), totals.n("excess"))
        yield Metric(of.score("selective_accuracy"), totals.mean("sure"), totals.n("sure"), True)
        generator = numpy_generator(seed, "calibration by chance", model, str(shift))
        by_chance = generator.random((CHANCE_DRAWS, len(part))) < confidence
        error = np.full(len(weights), np.nan)  # resampled objects would raise it: no interval
        error[0] = calibration_error(confidence, right)
        yield Metric(of.score("calibration_error"), error, totals.n("excess"))
        drawn = calibration_error(confidence, by_chance.astype(np.float64))
        drawn = np.concatenate([[drawn.mean()], np.resize(drawn, len(weights) - 1)])
        yield Metric(of.score("calibration_error_by_chance"), drawn, totals.n("excess"))
