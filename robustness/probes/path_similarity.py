"""Whether the preferred image of a class goes through the layers as natural images of the class do.

R. Geirhos, R. Zimmermann, B. Bilodeau, W. Brendel, B. Kim, Don't trust your eyes: on the (un)reliability of
feature visualizations, ICML 2024: Spearman's correlation of a layer's activations, between preferred and
natural images of a class, on a scale on which natural images of one class have 1 with each other, and 0 with
those of other classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata
from torch import Tensor, nn

from robustness.probes.layers import features, fitting
from robustness.probes.result import to_numpy

LEAST = 3
"""So many natural images of a class are needed."""


class Correlations(NamedTuple):
    """Spearman's ρ at a layer, for each picture (B,): of the ``picture`` with natural images of its class, of
    the ``same`` with each other, and of these with those of ``other`` classes; each the mean over pairs.
    ``error``: the standard error, over the class's images, of same − other. NaN where the class has less than
    three natural images, or is the only one."""

    picture: np.ndarray
    same: np.ndarray
    other: np.ndarray
    error: np.ndarray

    def similarity(self, chosen: np.ndarray) -> float:
        """Of the pictures ``chosen`` (bool, (B,)): 1 as natural images of their class, 0 as those of others;
        NaN where natural images of a class are not more alike, by two standard errors, than those of
        different classes: the scale would be noise."""
        picture, same, other, error = (values[chosen & np.isfinite(self.picture)] for values in self)
        if not len(same) or (same - other).mean() <= 2 * np.sqrt((error**2).mean()):
            return np.nan
        return float((picture - other).mean() / (same - other).mean())


def path_correlations(
    model: nn.Module,
    paths: Mapping[str, str],
    pictures: Tensor,
    classes: np.ndarray,
    images: Tensor,
    labels: np.ndarray,
    *,
    batch: int = 128,
) -> dict[str, Correlations]:
    """Layer → correlations of preferred images ``pictures`` (B, 3, H, W) of the ``classes`` (B,) with natural
    ``images`` (N, 3, H, W) of ``labels`` (N,)."""
    batch = fitting(batch, images)
    natural = features(model, paths, images, batch=batch)
    preferred = features(model, paths, pictures, batch=batch)
    found = {}
    for layer in paths:
        ranks = _standard_ranks(natural[layer])
        among, with_pictures = ranks @ ranks.T, _standard_ranks(preferred[layer]) @ ranks.T
        rows = [_of_class(row, among, labels == own) for row, own in zip(with_pictures, classes, strict=True)]
        found[layer] = Correlations(*np.array(rows, dtype=float).reshape(-1, 4).T)
    return found


def _of_class(row: np.ndarray, among: np.ndarray, own: np.ndarray) -> tuple[float, float, float, float]:
    count = int(own.sum())
    if count < LEAST or own.all():
        return np.nan, np.nan, np.nan, np.nan
    block = among[np.ix_(own, own)]
    same = (block.sum(1) - np.diag(block)) / (count - 1)
    other = among[np.ix_(own, ~own)].mean(1)
    error = (same - other).std(ddof=1) / np.sqrt(count)
    return float(row[own].mean()), float(same.mean()), float(other.mean()), float(error)


def _standard_ranks(activations: Tensor) -> np.ndarray:
    """Ranks within each image (N, D), ties shared, of mean 0 and length 1; all 0 where nothing differs."""
    ranks = rankdata(to_numpy(activations.flatten(1)), axis=1).astype(np.float32)
    ranks -= ranks.mean(1, keepdims=True)
    return ranks / np.maximum(np.linalg.norm(ranks, axis=1, keepdims=True), 1e-12)
