"""A share of the training data: of its objects, or of the views (images) of every object.

Shares are nested: what a small share holds, a larger one of the same seed holds too. So a learning curve over
them adds data and exchanges none.
"""

from __future__ import annotations

import math

import numpy as np

from robustness.data.image_set import ImageSet
from robustness.errors import UserError
from robustness.seeds import numpy_generator


def share_of_objects(images: ImageSet, rows: np.ndarray, share: float, *, seed: int) -> np.ndarray:
    """Those of ``rows`` (ascending) that show a ``share`` (0–1] of the objects of every class.

    Of n objects the nearest whole number to share · n is taken (a half counts up), at least one per class.
    Raises UserError for a share that is not above 0 and up to 1.
    """
    _check(share)
    samples = images.samples.iloc[rows]
    chosen: set[str] = set()
    for label, part in samples.groupby("label"):
        known = np.array(sorted(part["object"].unique()), dtype=object)
        order = numpy_generator(seed, "share of objects", int(label)).permutation(len(known))
        chosen.update(known[order[: _count(share, len(known))]])
    return np.sort(rows[samples["object"].isin(chosen).to_numpy()])


def share_of_views(images: ImageSet, rows: np.ndarray, share: float, *, seed: int) -> np.ndarray:
    """A ``share`` (0–1] of the images of every object among ``rows``, ascending; rounded like objects are.

    Raises UserError for a share that is not above 0 and up to 1.
    """
    _check(share)
    ordered = np.sort(rows)
    objects = images.samples["object"].to_numpy()[ordered]
    kept = []
    for name in sorted(set(objects)):
        own = ordered[objects == name]
        order = numpy_generator(seed, "share of views", name).permutation(len(own))
        kept.append(own[order[: _count(share, len(own))]])
    return np.sort(np.concatenate(kept))


def _check(share: float) -> None:
    if not 0 < share <= 1:
        raise UserError(f"{share:g} is no share: use a number above 0 and up to 1")


def _count(share: float, total: int) -> int:
    # In floating point 0.35 · 10 lies below 3.5.
    return max(1, math.floor(share * total + 0.5 + 1e-9))
