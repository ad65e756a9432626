"""Scores of the dense view sphere: an adversary who may move the camera, without an optimiser.

- ``pose/worst_random_accuracy``: mean over objects of the accuracy at the object's worst random view, of
  camera and light (the same draws for every model, so that each had as many renders to search)
- ``pose/worst_view_accuracy``: mean over objects of the accuracy at the object's own worst view
- ``pose/all_views_accuracy``: share of objects that are right from every view (equal to the former
  where there is one image per view; lower if a view has several)
- ``pose/worst_bin_accuracy``: accuracy at the one view that is worst for all objects together
- ``pose/sphere_accuracy``: accuracy over the sphere, each view weighted by the solid angle it stands
  for (cos elevation); ``pose/pose_space_wrong`` is 1 less that
- ``pose/flip_rate``: share of neighbouring views of an object (next azimuth, round the circle if the
  views go round it; next elevation) with different predicted classes, right or wrong
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd

from robustness.errors import UserError
from robustness.scores.cluster_sums import ClusterSums, Totals
from robustness.scores.conditions import RANDOM, SPHERE, Condition, view
from robustness.scores.table import Metric

PREFIX = "sphere:"
POSE = Condition("pose")


def add_columns(
    clusters: ClusterSums, predictions: pd.DataFrame, place: np.ndarray, correct: np.ndarray
) -> None:
    """Add the sphere's columns to a model's sums (nothing if the table has no sphere)."""
    drawn = _rows_of(predictions, RANDOM)
    if len(drawn):
        worst = np.ones(clusters.objects)
        np.minimum.at(worst, place[drawn], correct[drawn])
        present = np.bincount(place[drawn], minlength=clusters.objects) > 0
        clusters.add(f"{PREFIX}random", worst * present, present)
    chosen = _rows_of(predictions, SPHERE)
    if not len(chosen):
        return
    level_codes, level_names = pd.factorize(predictions["level"].to_numpy()[chosen])
    views = [view(str(level)) for level in level_names]
    for level, angles in zip(level_names, views, strict=True):
        if angles is None:
            raise UserError(f"level {level!r} of {SPHERE} is no 'az<azimuth>_el<elevation>' in degrees")
    azimuth, elevation = np.array(views).T
    objects, hits = place[chosen], correct[chosen]

    cells = objects * len(views) + level_codes
    size = clusters.objects * len(views)
    sums = np.bincount(cells, weights=hits, minlength=size).reshape(clusters.objects, len(views))
    counts = np.bincount(cells, minlength=size).reshape(clusters.objects, len(views))
    seen = counts > 0
    present = seen.any(axis=1)
    worst = np.where(seen, sums / np.maximum(counts, 1), np.inf).min(axis=1)
    clusters.add(f"{PREFIX}worst", np.where(present, worst, 0.0), present)
    clusters.add(f"{PREFIX}all", (sums == counts).all(axis=1) & present, present)
    area = np.clip(np.cos(np.deg2rad(elevation)), 0, None)
    clusters.add(f"{PREFIX}area", (sums * area).sum(axis=1), (counts * area).sum(axis=1))

    # Several images of an object and view (lights, scenes) are told apart by their rank among them.
    rank = pd.Series(cells).groupby(cells).cumcount().to_numpy()
    flips, pairs = np.zeros(clusters.objects), np.zeros(clusters.objects)
    edges = neighbours(azimuth, elevation)
    classes = predictions["prediction"].to_numpy()[chosen]
    for take in range(int(rank.max()) + 1):
        table = np.full((clusters.objects, len(views)), -1, dtype=np.int64)
        here = rank == take
        table[objects[here], level_codes[here]] = classes[here]
        first, second = table[:, edges[:, 0]], table[:, edges[:, 1]]
        both = (first >= 0) & (second >= 0)
        flips += ((first != second) & both).sum(axis=1)
        pairs += both.sum(axis=1)
    if pairs.any():
        clusters.add(f"{PREFIX}flips", flips, pairs)


def _rows_of(predictions: pd.DataFrame, path: str) -> np.ndarray:
    shift, factor = path.split("/")
    return np.flatnonzero(((predictions["shift"] == shift) & (predictions["factor"] == factor)).to_numpy())


def neighbours(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Pairs (E, 2) of views (V,) next to each other on the sphere's grid.

    Within one elevation the next azimuth, round the circle if the views are spread over it (the last gap is
    no wider than 1.5 times the widest other); within one azimuth the next elevation.
    """
    pairs: list[tuple[int, int]] = []
    for ring in np.unique(elevation):
        members = np.flatnonzero(elevation == ring)
        members = members[np.argsort(azimuth[members])]
        pairs += pairwise(members)
        gaps = np.diff(azimuth[members])
        if len(members) > 2 and azimuth[members[0]] + 360 - azimuth[members[-1]] <= 1.5 * gaps.max():
            pairs.append((members[-1], members[0]))
    for meridian in np.unique(azimuth):
        members = np.flatnonzero(azimuth == meridian)
        members = members[np.argsort(elevation[members])]
        pairs += pairwise(members)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def metrics(totals: Totals) -> Iterator[Metric]:
    """The scores of the sphere, if the totals have it."""
    if (key := f"{PREFIX}random") in totals:
        yield Metric(POSE.score("worst_random_accuracy"), totals.mean(key), totals.n(key), True)
    if f"{PREFIX}all" not in totals:
        return
    for name, column in (("worst_view_accuracy", "worst"), ("all_views_accuracy", "all")):
        key = f"{PREFIX}{column}"
        yield Metric(POSE.score(name), totals.mean(key), totals.n(key), True)
    bins = [name for name in totals.columns if isinstance(name, Condition) and name.path == SPHERE]
    worst = min(bins, key=lambda name: totals.mean(name)[0])
    yield Metric(POSE.score("worst_bin_accuracy"), totals.mean(worst), totals.n(worst), True, True)
    area = totals.mean(f"{PREFIX}area")
    yield Metric(POSE.score("sphere_accuracy"), area, totals.n(f"{PREFIX}area"), True)
    yield Metric(POSE.score("pose_space_wrong"), 1 - area, totals.n(f"{PREFIX}area"), True)
    if f"{PREFIX}flips" in totals:
        yield Metric(POSE.score("flip_rate"), totals.mean(f"{PREFIX}flips"), totals.n(f"{PREFIX}flips"), True)
