"""Scores of objects of no class: does a model notice that it knows none of them?

Known are the clean test images, unknown those of objects that belong to none of the classes, rendered like
them (near out-of-distribution). A model is sure of an image by its largest softmax probability (Hendrycks &
Gimpel 2017), ``softmax``, or by low energy −log Σ exp(logit) (Liu et al. 2020), ``energy``:

- ``unknown/<of>/auroc``: how often it is surer of a known image than of an unknown one (ties count half);
  0.5 is guessing
- ``unknown/<of>/accepted``: the share of the unknown images that are taken for known where 95 % of the known
  ones are (FPR at 95 % TPR)

with intervals over objects, known and unknown ones drawn apart.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from robustness.scores.cluster_sums import draw_weights
from robustness.scores.conditions import CLEAN, Condition
from robustness.scores.table import Metric, join, rows
from robustness.seeds import derive
from robustness.statistics.bootstrap import RESAMPLES

ACCEPTED = 0.95
"""The share of the known images above the threshold."""


def from_unknown(
    predictions: pd.DataFrame, unknown: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """The scores (model, metric, value, low, high, n) of the columns ``object``, ``confidence`` and
    ``energy`` of both tables; none without unknown images."""
    clean = predictions[predictions["shift"] == CLEAN]
    known = dict(list(clean.groupby("model", sort=False)))
    parts = []
    for model, of_model in unknown.groupby("model", sort=True, observed=True):
        if model in known:
            parts.append(rows(str(model), _of_model(known[model], of_model, seed, resamples)))
    return join(parts)


def _of_model(known: pd.DataFrame, unknown: pd.DataFrame, seed: int, resamples: int) -> Iterator[Metric]:
    weights = []
    for place, table in enumerate((known, unknown)):
        objects, names = pd.factorize(table["object"], sort=True)
        drawn = draw_weights(len(names), resamples=resamples, seed=derive(seed, "unknown", place))
        weights.append(drawn[:, objects])
    draws = min(map(len, weights))
    of_known, of_unknown = (drawn[:draws].astype(np.float64) for drawn in weights)
    count = int(known["object"].nunique())
    for name, column, sign in (("softmax", "confidence", 1.0), ("energy", "energy", -1.0)):
        high, low = (sign * table[column].to_numpy(np.float64) for table in (known, unknown))
        of = Condition("unknown", name)
        yield Metric(of.score("auroc"), auroc(high, low, of_known, of_unknown), count)
        yield Metric(of.score("accepted"), accepted(high, low, of_known, of_unknown), count, True)


def auroc(known: np.ndarray, unknown: np.ndarray, of_known: np.ndarray, of_unknown: np.ndarray) -> np.ndarray:
    """(D,): the share of pairs of a known (N,) and an unknown (M,) value of which the known one is larger,
    under weights (D, N) and (D, M)."""
    above = (known[:, None] > unknown).astype(np.float64) + 0.5 * (known[:, None] == unknown)
    pairs = of_known.sum(1) * of_unknown.sum(1)
    return ((of_known @ above) * of_unknown).sum(1) / pairs


def accepted(
    known: np.ndarray, unknown: np.ndarray, of_known: np.ndarray, of_unknown: np.ndarray
) -> np.ndarray:
    """(D,): the share of the unknown values (M,) at or above the largest threshold that ``ACCEPTED`` of the
    known ones (N,) reach, under weights (D, N) and (D, M)."""
    order = np.argsort(-known, kind="stable")
    reached = np.cumsum(of_known[:, order], axis=1)
    last = (reached >= ACCEPTED * reached[:, -1:] - 1e-9).argmax(axis=1)
    threshold = known[order][last]
    return ((unknown >= threshold[:, None]) * of_unknown).sum(1) / of_unknown.sum(1)
