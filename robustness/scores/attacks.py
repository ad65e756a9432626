"""Scores of the table ``attacks``.

With name = ``<attack>_<norm>``, an L∞ ε in 255ths and an L2 or L1 ε as it is:

- ``attack/<name>/eps_<ε>/robust_accuracy``: share of samples that are right and stay right
- ``attack/worst_<norm>/eps_<ε>/robust_accuracy``: a sample counts only if no attack of that norm breaks it
  at this ε or, for the ball holds the smaller ones, at a smaller; over the samples that all of them attacked.
  An attack that finds minimal distances (its ε is not finite) takes part at every ε of its norm: it breaks a
  sample whose distance is at most ε. Rows of an attack called ``worst``, a suite's own account, take part too
  (a suite may know more: images that one attack handed to another) and get no scores of their own.
- ``attack/<name>/median_distance`` (and ``worst_<norm>``): median over samples of the smallest distance at
  which the attack broke them; 0 for one that was wrong already, infinite for one that was never broken.
  L∞ in 255ths, L2 in image units. A median that is infinite is left out, with the bound that is known. For
  attacks at given ε it is an upper bound: no finer than the ε's tried.
- ``attack/worst_<norm>/area``: area under worst robust accuracy over ε from 0 (clean accuracy) to the largest
  ε, divided by that ε: one number per model and norm
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

REQUIRED = ("model", "attack", "norm", "epsilon", "sample", "object", "clean_correct", "robust", "distance")
WORST = "worst"


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


def prepared(attacks: pd.DataFrame) -> pd.DataFrame:
    """The table checked, with the columns ``name`` (of the attack and norm) and ``scaled`` (ε of names)."""
    require(attacks, REQUIRED, "attacks")
    table = attacks.copy()
    table["norm"], table["attack"] = attacks["norm"].astype(str), attacks["attack"].astype(str)
    table["name"] = [
        attack if attack.endswith(f"_{norm}") else f"{attack}_{norm}"
        for attack, norm in zip(table["attack"], table["norm"], strict=True)
    ]
    epsilon = table["epsilon"].astype(float)
    # Rounded: 4/255 is not exactly a quotient by 255 in binary, and names must be.
    table["scaled"] = np.round(np.where(table["norm"] == "linf", epsilon * 255, epsilon), 6)
    table["clean_correct"] = table["clean_correct"].astype(bool)
    table["robust"] = table["robust"].astype(bool) & table["clean_correct"]
    distance = table["distance"].astype(float).where(~table["robust"], np.inf)
    table["distance"] = distance.where(table["clean_correct"], 0.0).fillna(np.inf)
    return table


def attacks_by_cluster(table: pd.DataFrame, objects: pd.Index) -> ClusterSums:
    """The sums of ONE model's prepared attacks: a ``Condition`` per attack and ε, and (clean, norm)."""
    clusters = ClusterSums(len(objects))
    samples = _sample_objects(table, objects)
    for norm, part in table.groupby("norm", sort=True):
        fixed = part[np.isfinite(part["scaled"]) & (part["scaled"] > 0)]
        budgets = sorted(fixed["scaled"].unique())
        minimal = part[~np.isfinite(part["scaled"])]
        stood: dict[float, list[pd.Series]] = {budget: [] for budget in budgets}
        for (name, budget), cell in fixed.groupby(["name", "scaled"], sort=True):
            robust = cell.groupby("sample")["robust"].all()
            stood[budget].append(robust)
            if name != f"{WORST}_{norm}":
                _add(clusters, Condition("attack", str(name), f"{budget:g}"), robust, samples)
        unit = 1 / 255 if norm == "linf" else 1.0
        for name, cell in minimal.groupby("name", sort=True):
            distance = cell.groupby("sample")["distance"].min()
            for budget in budgets:
                robust = distance > budget * unit * (1 + 1e-6)
                stood[budget].append(robust)
                _add(clusters, Condition("attack", str(name), f"{budget:g}"), robust, samples)
        so_far: list[pd.Series] = []
        for budget in budgets:
            so_far += stood[budget]
            together = pd.concat(so_far, axis=1, join="inner").all(axis=1)
            if len(together):
                _add(clusters, Condition("attack", f"{WORST}_{norm}", f"{budget:g}"), together, samples)
        clean = part.groupby("sample")["clean_correct"].all()
        _add(clusters, ("clean", norm), clean, samples)
    return clusters


def metrics(totals: Totals) -> Iterator[Metric]:
    """Robust accuracies and areas of one model's totals."""
    curves: dict[str, dict[float, np.ndarray]] = {}
    for ball in totals.columns:
        if not isinstance(ball, Condition):
            continue
        yield Metric(ball.score("robust_accuracy"), totals.mean(ball), totals.n(ball), True)
        if ball.factor.startswith(f"{WORST}_"):
            curves.setdefault(ball.factor, {})[float(ball.level)] = totals.mean(ball)
    for attack, points in curves.items():
        clean = ("clean", attack.removeprefix(f"{WORST}_"))
        points[0.0] = totals.mean(clean)
        area = Condition("attack", attack).score("area")
        yield Metric(area, normalised_area(points), totals.n(clean), True)


def median_distances(table: pd.DataFrame, objects: pd.Index, weights: np.ndarray) -> Iterator[Metric]:
    """The median minimal distance of each attack, and of all attacks of a norm together."""
    samples = _sample_objects(table, objects)
    for norm, part in table.groupby("norm", sort=True):
        attackers = {str(name): cell for name, cell in part.groupby("name", sort=True)}
        smallest = {name: cell.groupby("sample")["distance"].min() for name, cell in attackers.items()}
        worst = pd.concat(smallest.values(), axis=1, join="inner").min(axis=1)
        if len(worst):
            smallest[f"{WORST}_{norm}"] = worst  # in the place of a suite's own account
        for name, distance in smallest.items():
            place = samples.loc[distance.index].to_numpy()
            scale = 255.0 if norm == "linf" else 1.0
            draws = weighted_median(distance.to_numpy() * scale, weights[:, place])
            yield Metric(Condition("attack", name).score("median_distance"), draws, len(np.unique(place)))


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The lower median of ``values`` (N,) where value i stands there weights[d, i] times: (D,)."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    half = reached[:, -1:] / 2
    found = values[order][np.argmax(reached >= half, axis=1)]
    return np.where(half[:, 0] > 0, found, np.nan)


def _sample_objects(table: pd.DataFrame, objects: pd.Index) -> pd.Series:
    """The number of each sample's object."""
    first = table.drop_duplicates("sample").set_index("sample")["object"]
    return pd.Series(objects.get_indexer(first), index=first.index)


def _add(clusters: ClusterSums, name: tuple, values: pd.Series, samples: pd.Series) -> None:
    clusters.add_samples(name, samples.loc[values.index].to_numpy(), values.to_numpy(dtype=np.float64))
