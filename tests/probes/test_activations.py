"""Strongest images, selectivity and dead channels where they are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustness.probes import activations
from robustness.probes.layers import probing


class Watchers(nn.Module):
    """Channel 0 answers to a red pixel, channel 1 to a blue 3×3 patch, channel 2 never; then a read-out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.conv.weight.data.zero_()
        self.conv.weight.data[0, 0, 1, 1] = 1
        self.conv.weight.data[1, 2] = 1
        self.relu = nn.ReLU()
        self.stages = {"stem": "relu"}

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv(x)).amax((2, 3))


@pytest.fixture
def planted() -> tuple[Tensor, Tensor]:
    """Dark images; those of class 1 have a red pixel of growing strength at (4, 7), image 6 a blue patch."""
    images = torch.zeros(12, 3, 16, 16)
    labels = torch.arange(12) % 3
    for index in range(12):
        if labels[index] == 1:
            images[index, 0, 4, 7] = 0.1 + 0.05 * index
    images[6, 2, 10:13, 2:5] = 1
    return images, labels


def test_the_strongest_images_and_patches_are_found(planted) -> None:
    images, labels = planted
    result = activations.run(Watchers(), images, labels, units=[0, 1], top=3)
    arrays = result.arrays
    assert arrays["stem/images"][0].tolist() == [10, 7, 4]
    assert arrays["stem/images"][1][0] == 6
    assert arrays["stem/values"][1][0] == pytest.approx(9)
    assert arrays["stem/boxes"][0, 0].tolist() == [4, 7, 5, 8]
    assert arrays["stem/boxes"][1, 0].tolist() == [10, 2, 13, 5]
    assert arrays["stem/patches"].shape == (2, 3, 3, 3, 3)
    assert (arrays["stem/patches"][1, 0, 2] == 255).all()
    # The deconvnet brings the unit back to the pixels that made it answer.
    assert (arrays["stem/deconvolution"][1, 0, 2] == 1).all()
    assert not arrays["stem/deconvolution"][1, 0, :2].any()


def test_selectivity_and_dead_channels(planted) -> None:
    images, labels = planted
    result = activations.run(Watchers(), images, labels, top=3)
    table = result.table.set_index("metric")["value"]
    assert result.arrays["stem/live"].tolist() == [True, True, False]
    assert table["dead_share"] == pytest.approx(1 / 3)
    np.testing.assert_allclose(result.arrays["stem/selectivity"], [1, 1, np.nan])
    assert table["class_selectivity"] == pytest.approx(1)
    assert result.arrays["stem/units"].tolist() == [0, 1]


def test_selectivity_of_known_means() -> None:
    kept = activations.Strongest(1, 3)
    kept.add(torch.tensor([[3.0, 1.0], [1.0, 1.0], [1.0, 1.0]]), torch.tensor([0, 1, 2]), 0)
    np.testing.assert_allclose(kept.selectivity(), [0.5, 0.0])


@pytest.mark.parametrize("size", [1, 5, 24])
def test_the_batch_size_changes_nothing(small_net: nn.Module, batch, size: int) -> None:
    images, labels = batch
    with probing(small_net, seed=0):
        one = activations.strongest(small_net, small_net.stages, images, labels, batch=size)
        two = activations.strongest(small_net, small_net.stages, images, labels, batch=7)
    for stage in small_net.stages:
        torch.testing.assert_close(one[stage].values, two[stage].values)
        assert torch.equal(one[stage].images, two[stage].images)
        np.testing.assert_allclose(one[stage].selectivity(), two[stage].selectivity(), rtol=1e-5)


def test_equal_responses_keep_the_first_images() -> None:
    kept = activations.Strongest(2, 1)
    for first in (0, 2):
        kept.add(torch.ones(2, 1), torch.zeros(2, dtype=torch.long), first)
    assert kept.images.tolist() == [[0, 1]]
