"""Multifaceted starts for one unit, from the different kinds of images that activate it.

A. Nguyen, J. Yosinski, J. Clune, Multifaceted Feature Visualization, 2016: the images that activate a unit
most are reduced by PCA to 50 dimensions and by t-SNE to two and clustered by k-means; each ascent starts from
the mean of the fifteen images nearest to a cluster's centre.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from robustness.probes.embedding import reduce, tsne


def facet_starts(
    images: Tensor,
    features: np.ndarray,
    responses: np.ndarray,
    *,
    facets: int,
    pool: int = 60,
    nearest: int = 15,
    random_state: int = 0,
) -> list[Tensor]:
    """Mean images (3, H, W) of up to ``facets`` clusters among the ``pool`` strongest images of a unit.

    ``images`` (N, 3, H, W); ``features`` (N, D) in which they are clustered; ``responses`` (N,) of the unit.
    Fewer clusters are made where there are fewer than two images per cluster.
    """
    from sklearn.cluster import KMeans

    strongest = np.argsort(-responses, kind="stable")[:pool]
    plane = features[strongest].astype(np.float64)
    if len(strongest) > 3 and np.ptp(plane, axis=0).max() > 0:
        reduced, _, _ = reduce(plane, 50)
        plane = np.asarray(tsne(reduced, 10.0, (50, 150), random_state))
    count = max(1, min(facets, len(strongest) // 2, len(np.unique(plane, axis=0))))
    clusters = KMeans(count, n_init=4, random_state=random_state).fit(plane)
    starts = []
    for centre, label in zip(clusters.cluster_centers_, range(count), strict=True):
        members = np.flatnonzero(clusters.labels_ == label)
        distance = np.linalg.norm(plane[members] - centre, axis=1)
        chosen = strongest[members[np.argsort(distance, kind="stable")[:nearest]]]
        starts.append(images[chosen].mean(0))
    return starts
