"""Scores of the tables ``attacks``, the worst case over the suite in each norm, and ``gradients``.

``worst`` stands for perturbations of the whole of the clean images; in its place stand the other variants:
``object`` and ``background`` (perturbations of these pixels alone) and conditions, as
``pose_azimuth_90``.

An L∞ ε is in 255ths, an L2 or L1 ε as it is:

- ``attack/worst_<norm>/eps_<ε>/robust_accuracy``: the mean over images of the share of right answers on the
  strongest adversarial example within ε; at ε = 0 of the share on the clean image: the accuracy of the very
  images that were attacked. Without noise a share is 0 or 1.
- ``attack/worst_<norm>/eps_<ε>/majority_accuracy``, of models with noise: the share of images of which more
  than half of the answers are right. A vote over many answers is another, more robust classifier.
- ``attack/worst_<norm>/median_distance``: median over images of the smallest distance at which one was
broken,
  at any size where an attack of the suite minimises it; 0 for one that was wrong already, infinite for one
  that was never broken. L∞ in 255ths, L2 in image units. A median that is infinite is left out, with the
  bound that is known.
- ``attack/worst_<norm>/area``: mean robust accuracy over log ε, from the smallest to the largest ε
- ``attack/gradient_<norm>/first_order_distance`` and ``…/agreement``: median and mean over the clean images
  of the columns of ``gradients``; ``attack/gradient_off_<norm>/…``: with the noise off.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from robustness.scores.cluster_sums import ClusterSums, Totals, draw_weights
from robustness.scores.conditions import Condition
from robustness.scores.predictions import normalised_area
from robustness.scores.table import Metric, join, require, rows
from robustness.statistics.bootstrap import RESAMPLES

WHOLE = "worst"
"""The variant of perturbations of the whole clean images, as ``robustness.attacks.variants`` names it."""
REQUIRED = (
    "model",
    "variant",
    "norm",
    "epsilon",
    "sample",
    "object",
    "clean_right",
    "right",
    "robust",
    "distance",
    "noise",
)


def from_attacks(attacks: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """The scores (model, metric, value, low, high, n) of the table ``attacks``."""
    attacks = prepared(attacks)
    objects = pd.Index(np.sort(attacks["object"].unique()))
    weights = draw_weights(len(objects), resamples=resamples, seed=seed)
    tables = []
    for model, part in attacks.groupby("model", sort=True, observed=True):
        totals = attacks_by_cluster(part, objects).totals(weights)
        tables.append(rows(str(model), [*metrics(totals), *median_distances(part, objects, weights)]))
    return join(tables)


def from_gradients(gradients: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """The scores (model, metric, value, low, high, n) of the table ``gradients``."""
    require(gradients, ("model", "noise", "norm", "object", "distance", "agreement"), "gradients")
    objects = pd.Index(np.sort(gradients["object"].unique()))
    weights = draw_weights(len(objects), resamples=resamples, seed=seed)
    tables = []
    for model, own in gradients.groupby("model", sort=True, observed=True):
        found = []
        for (noise, norm), part in own.groupby(["noise", "norm"], sort=True):
            name = Condition("attack", f"gradient_off_{norm}" if noise == "off" else f"gradient_{norm}")
            drawn = weights[:, objects.get_indexer(part["object"])]
            n, scale = part["object"].nunique(), 255.0 if norm == "linf" else 1.0
            median = weighted_median(scale * part["distance"].to_numpy(dtype=float), drawn)
            mean = drawn @ part["agreement"].to_numpy(dtype=float) / drawn.sum(1)
            found.append(Metric(name.score("first_order_distance"), median, n))
            found.append(Metric(name.score("agreement"), mean, n))
        tables.append(rows(str(model), found))
    return join(tables)


def prepared(attacks: pd.DataFrame) -> pd.DataFrame:
    """The table checked, with the columns ``factor`` (``<variant>_<norm>``) and ``scaled`` (ε of names)."""
    require(attacks, REQUIRED, "attacks")
    table = attacks.copy()
    table["factor"] = attacks["variant"].astype(str) + "_" + attacks["norm"].astype(str)
    epsilon = table["epsilon"].astype(float)
    # Rounded: 4/255 is not exactly a quotient by 255 in binary, and names must be.
    table["scaled"] = np.round(np.where(table["norm"] == "linf", epsilon * 255, epsilon), 6)
    table["distance"] = table["distance"].astype(float).where(~table["robust"].astype(bool)).fillna(np.inf)
    return table


def attacks_by_cluster(table: pd.DataFrame, objects: pd.Index) -> ClusterSums:
    """The sums of ONE model's prepared attacks: per norm and ε the shares of right answers (``Condition``),
    and of a model with noise the votes (``majority`` and a ``Condition``)."""
    clusters = ClusterSums(len(objects))
    for (factor, epsilon), part in table[np.isfinite(table["scaled"])].groupby(
        ["factor", "scaled"], sort=True
    ):
        places = objects.get_indexer(part["object"])
        clean, ball = (Condition("attack", factor, f"{each:g}") for each in (0, epsilon))
        if clean not in clusters.sums:
            clusters.add_samples(clean, places, part["clean_right"].to_numpy(dtype=np.float64))
        if epsilon > 0:
            clusters.add_samples(ball, places, part["right"].to_numpy(dtype=np.float64))
            if (part["noise"] != "none").any():
                clusters.add_samples(("majority", ball), places, part["robust"].to_numpy(dtype=np.float64))
    return clusters


def metrics(totals: Totals) -> Iterator[Metric]:
    """Robust accuracies and areas of one model's totals."""
    curves: dict[str, dict[float, np.ndarray]] = {}
    for name in totals.columns:
        ball, statistic = (
            (name, "robust_accuracy") if isinstance(name, Condition) else (name[1], "majority_accuracy")
        )
        yield Metric(ball.score(statistic), totals.mean(name), totals.n(name), True)
        if statistic == "robust_accuracy" and float(ball.level) > 0:
            curves.setdefault(ball.factor, {})[float(np.log2(float(ball.level)))] = totals.mean(name)
    for factor, points in curves.items():
        if len(points) > 1:
            n = totals.n(Condition("attack", factor, "0"))
            yield Metric(Condition("attack", factor).score("area"), normalised_area(points), n, True)


def median_distances(table: pd.DataFrame, objects: pd.Index, weights: np.ndarray) -> Iterator[Metric]:
    """The median minimal distance in each norm."""
    for (factor, norm), part in table.groupby(["factor", "norm"], sort=True):
        smallest = part.groupby("sample")["distance"].min()
        first = part.drop_duplicates("sample").set_index("sample")["object"]
        place = objects.get_indexer(first.loc[smallest.index])
        draws = weighted_median(smallest.to_numpy() * (255.0 if norm == "linf" else 1.0), weights[:, place])
        yield Metric(Condition("attack", factor).score("median_distance"), draws, len(np.unique(place)))


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The lower median of ``values`` (N,) where value i stands there weights[d, i] times: (D,)."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    half = reached[:, -1:] / 2
    found = values[order][np.argmax(reached >= half, axis=1)]
    return np.where(half[:, 0] > 0, found, np.nan)
