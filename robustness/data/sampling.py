"""Choosing a few images so that as many objects as possible take part."""

from __future__ import annotations

import numpy as np

from robustness.data.image_set import ImageSet
from robustness.seeds import numpy_generator


def spread_over_objects(images: ImageSet, rows: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """``count`` of ``rows`` (all if there are fewer), in ascending order, drawn in rounds.

    In every round each object gives at most one image; objects come in a seeded order that alternates between
    the classes, so that a small choice is balanced over classes and objects.
    """
    samples = images.samples.iloc[rows][["object", "label"]].assign(row=rows)
    generator = numpy_generator(seed, "spread over objects")
    samples = samples.iloc[generator.permutation(len(samples))]
    samples["round"] = samples.groupby("object").cumcount()
    first = samples.drop_duplicates("object")
    turn = first.groupby("label").cumcount().set_axis(first["object"].to_numpy())
    samples["turn"] = samples["object"].map(turn)
    ordered = samples.sort_values(["round", "turn", "label"], kind="stable")
    return np.sort(ordered["row"].to_numpy()[:count])
