"""The embedding probe on planted clusters and on noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustness.errors import UserError
from robustness.probes import embedding

QUICK = dict(iterations=(30, 60), tsne_seeds=2)


class Flat(nn.Module):
    """The image itself is the last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.head = nn.Linear(48, 3, bias=False)
        self.stages = {"penultimate": "flatten"}

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.flatten(x))


def clusters(spread: float, count: int = 60) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    labels = torch.arange(count) % 3
    centres = torch.rand(3, 3, 4, 4, generator=generator)
    return centres[labels] + spread * torch.randn(count, 3, 4, 4, generator=generator), labels


def numbers(result) -> dict[str, float]:
    return result.table.set_index("metric")["value"].to_dict()


def test_planted_clusters_are_pure_in_all_spaces() -> None:
    images, labels = clusters(0.01)
    result = embedding.run(Flat(), images, labels, neighbours=5, **QUICK)
    found = numbers(result)
    for space in ("", "_pca", "_2d"):
        assert found[f"knn_purity{space}"] == 1
        assert found[f"silhouette{space}"] > 0.8
    assert found["knn_purity_2d_sd"] == 0
    assert found["trustworthiness_pca"] > 0.9
    assert result.arrays["penultimate/map"].shape == (60, 2)
    assert set(result.table["layer"]) == {"penultimate"}


def test_noise_is_not_pure() -> None:
    images, labels = clusters(0.0)
    images = torch.rand(images.shape, generator=torch.Generator().manual_seed(0))
    found = numbers(embedding.run(Flat(), images, labels, neighbours=5, **QUICK))
    assert 0.15 < found["knn_purity"] < 0.5
    assert abs(found["silhouette"]) < 0.1


def test_explained_variance_is_one_when_all_components_are_kept() -> None:
    images, labels = clusters(0.1)
    assert numbers(embedding.run(Flat(), images, labels, components=60, **QUICK))[
        "explained_variance_pca"
    ] == pytest.approx(1)


def test_placed_images_fall_among_their_neighbours() -> None:
    images, labels = clusters(0.01)
    places = torch.arange(12)
    placed = {"same": (places, images[:12] + 0.001), "wrong": (places, images[1:13])}  # of the next class
    result = embedding.run(Flat(), images, labels, neighbours=5, placed=placed, **QUICK)
    found = numbers(result)
    assert found["placed_purity/same"] == found["placed_purity_2d/same"] == 1
    assert found["placed_purity/wrong"] == found["other_class/clean"] == found["other_class/same"] == 0
    assert found["other_class/wrong"] == 1
    assert 0 < found["moved/same"] < 0.05
    assert found["moved/wrong"] == pytest.approx(1, abs=0.25)  # from one centre to another
    clean, put = result.arrays["penultimate/map"], result.arrays["penultimate/placed/same"]
    assert np.linalg.norm(clean[:12] - put, axis=1).mean() < 0.2 * np.ptp(clean)


def test_what_does_not_change_has_no_arrow_and_does_not_count() -> None:
    images, labels = clusters(0.05)
    moved = torch.cat([images[:5], images[10:16]])  # five stay, six go to the place of the next class
    result = embedding.run(Flat(), images, labels, placed={"some": (torch.arange(11), moved)}, **QUICK)
    arrays = {name: result.arrays[f"penultimate/{name}/some"] for name in ("start", "placed", "moved")}
    np.testing.assert_allclose(arrays["start"][:5], arrays["placed"][:5], atol=1e-5)
    assert np.isnan(arrays["moved"][:5]).all()
    assert numbers(result)["moved/some"] == pytest.approx(np.median(arrays["moved"][5:]))
    assert numbers(result)["other_class/some"] == pytest.approx(6 / 11)


def test_moves_by_hand() -> None:
    """Two classes, of centres 4 apart: an image goes more than half of the way, one stays, one goes from the
    other class; and the only image of a class has no centre to be near to."""
    space = np.array([[0.0, 0.0], [0.0, 2.0], [4.0, 0.0], [4.0, 2.0]])
    labels = np.array([5, 5, 7, 7])
    moved = np.array([[2.5, 1.0], [0.0, 2.0], [-4.0, 0.0]])
    length, elsewhere = embedding.moves(space, labels, np.array([1, 1, 2]), moved)
    np.testing.assert_allclose(length, [np.hypot(2.5, 1) / 4, 0, 2])
    assert elsewhere.tolist() == [1, 0, 1]
    alone = embedding.moves(space[1:], labels[1:], np.array([0, 1]), space[1:3])[1]
    np.testing.assert_array_equal(alone, [np.nan, 0])


def test_same_seed_same_bytes() -> None:
    images, labels = clusters(0.1)
    one, two = (embedding.run(Flat(), images, labels, seed=4, **QUICK) for _ in range(2))
    assert one.table.equals(two.table) or np.array_equal(
        one.table["value"], two.table["value"], equal_nan=True
    )
    np.testing.assert_array_equal(one.arrays["penultimate/map"], two.arrays["penultimate/map"])


def test_a_constant_layer_is_not_an_error() -> None:
    images, labels = clusters(0.1)
    result = embedding.run(Flat(), images * 0 + 0.3, labels, **QUICK)
    assert result.table["value"].isna().all()
    assert np.isnan(result.arrays["penultimate/map"]).all()


def test_too_few_images_are_refused() -> None:
    images, labels = clusters(0.1, count=6)
    with pytest.raises(UserError, match="6 images of 3 classes are too few"):
        embedding.run(Flat(), images, labels)
