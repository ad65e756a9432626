"""Shares of training objects and of their views: how many, which, and one within the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from robustness.data.image_set import ImageSet
from robustness.data.subsets import share_of_objects, share_of_views
from robustness.errors import UserError

# Class 0 has ten objects with four images each, class 1 has three objects with eight.
OBJECTS = {0: (10, 4), 1: (3, 8)}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    rows = [("train", "canonical", f"object {label}.{i}", label) for label, (count, views) in OBJECTS.items()
            for _ in range(views) for i in range(count)]  # fmt: skip
    rows += [("test", "test", "another object", 0)] * 5
    samples = pd.DataFrame(rows, columns=["split", "role", "object", "label"])
    samples = samples.assign(shift="clean", factor="none", level=0)
    with ImageSet.create(tmp_path_factory.mktemp("set") / "images", len(samples), 4, ["a", "b"]) as writer:
        writer.masks[:] = 1
        return writer.finish(samples)


@pytest.fixture(scope="module")
def rows(images: ImageSet) -> np.ndarray:
    return images.rows(split="train")


def objects_by_class(images: ImageSet, rows: np.ndarray) -> dict[int, int]:
    return images.samples.iloc[rows].groupby("label")["object"].nunique().to_dict()


@pytest.mark.parametrize(
    ("share", "first", "second"), [(0.01, 1, 1), (0.25, 3, 1), (0.35, 4, 1), (0.5, 5, 2), (1.0, 10, 3)]
)
def test_a_share_of_the_objects_of_every_class_with_all_their_views(
    images: ImageSet, rows: np.ndarray, share: float, first: int, second: int
) -> None:
    chosen = share_of_objects(images, rows, share, seed=1)
    assert objects_by_class(images, chosen) == {0: first, 1: second}
    assert len(chosen) == 4 * first + 8 * second
    assert set(chosen) <= set(rows)


@pytest.mark.parametrize(
    ("share", "first", "second"), [(0.01, 1, 1), (0.25, 1, 2), (0.5, 2, 4), (0.7, 3, 6), (1.0, 4, 8)]
)
def test_a_share_of_the_views_of_every_object(
    images: ImageSet, rows: np.ndarray, share: float, first: int, second: int
) -> None:
    chosen = share_of_views(images, rows, share, seed=1)
    samples = images.samples.iloc[chosen]
    assert objects_by_class(images, chosen) == {0: 10, 1: 3}
    views = samples.groupby(["label", "object"]).size()
    assert set(views[0]) == {first}
    assert set(views[1]) == {second}


@pytest.mark.parametrize("choose", [share_of_objects, share_of_views])
def test_shares_are_nested_ascending_and_seeded(
    images: ImageSet, rows: np.ndarray, choose: Callable[..., np.ndarray]
) -> None:
    shares = [choose(images, rows, share, seed=1) for share in (0.1, 0.25, 0.5, 0.8, 1.0)]
    for small, large in itertools.pairwise(shares):
        assert set(small) <= set(large)
        assert np.all(np.diff(large) > 0)
    np.testing.assert_array_equal(shares[-1], rows)
    np.testing.assert_array_equal(shares[2], choose(images, rows[::-1], 0.5, seed=1))
    others = [choose(images, rows, 0.5, seed=seed) for seed in range(2, 6)]
    assert any(set(other) != set(shares[2]) for other in others)


@pytest.mark.parametrize("choose", [share_of_objects, share_of_views])
@pytest.mark.parametrize("share", [0.0, -0.5, 1.01, float("nan")])
def test_what_is_no_share_is_refused(
    images: ImageSet, rows: np.ndarray, choose: Callable[..., np.ndarray], share: float
) -> None:
    with pytest.raises(UserError, match="is no share"):
        choose(images, rows, share, seed=1)
