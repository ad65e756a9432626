"""Units before their rectification, and the pixels they see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustness import models
from robustness.errors import UserError
from robustness.probes.layers import probing
from robustness.probes.targets import (
    Target,
    before_rectification,
    find_canvas,
    pick_by_selectivity,
    pick_units,
)


class Chain(nn.Module):
    """A ReLU with pooling and local normalisation after it, and a block that ends in one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU()
        self.norm = nn.LocalResponseNorm(3)
        self.pool = nn.MaxPool2d(2)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
        self.smooth = nn.SiLU()
        self.stages = {"stem": "pool", "early": "block", "middle": "smooth"}

    def forward(self, x: Tensor) -> Tensor:
        return self.smooth(self.block(self.pool(self.norm(self.relu(self.conv(x)))))).mean((2, 3))


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("stem", Target("stem", "relu", True)),
        ("early", Target("early", "block.1", True)),
        ("middle", Target("middle", "smooth", False)),
        ("logits", Target("logits", "", False)),
    ],
)
def test_the_target_is_the_input_of_the_rectifier(stage: str, expected: Target) -> None:
    net = Chain().eval()
    path = net.stages.get(stage, "")
    assert before_rectification(net, stage, path, torch.rand(1, 3, 12, 12)) == expected


def test_receptive_field_of_a_unit_in_the_middle(small_net: nn.Module) -> None:
    with probing(small_net, seed=0):
        stem = find_canvas(small_net, Target("stem", "relu1", True), (48, 48))
        middle = find_canvas(small_net, Target("middle", "relu2", True), (48, 48))
        last = find_canvas(small_net, Target("logits", ""), (48, 48))
    assert (stem.height, stem.width, stem.row) == (5, 5, 12)
    assert (stem.top, stem.left) == (2 * 12 - 2, 2 * 12 - 2)
    assert (middle.height, middle.width) == (9, 9)
    assert (last.height, last.width, last.cropped) == (48, 48, False)


@pytest.mark.parametrize("stage", ["stem", "middle"])
def test_a_cropped_canvas_gives_the_whole_images_response(small_net: nn.Module, stage: str) -> None:
    target = Target(stage, small_net.stages[stage], True)
    generator = torch.Generator().manual_seed(1)
    with probing(small_net, seed=0), target.tap(small_net) as tap, torch.no_grad():
        canvas = find_canvas(small_net, target, (48, 48))
        assert canvas.cropped
        assert canvas.crop_height < 40
        field = torch.rand(6, 3, canvas.height, canvas.width, generator=generator)
        grey = torch.full((1, 3, 1, 1), 0.4)
        piece = canvas.responses(tap(canvas.network_input(field, grey))[stage])
        whole = canvas.whole_responses(tap(canvas.whole_image(field, grey))[stage])
    torch.testing.assert_close(piece, whole)
    torch.testing.assert_close(canvas.field(canvas.whole_image(field, grey)), field)


def test_a_unit_of_a_front_end_sees_its_filter() -> None:
    model = models.build(models.ModelSpec("resnet18", "gabor", "canonical", 4, 64, seed=0, width=0.125))
    with probing(model, seed=0):
        canvas = find_canvas(model, Target("stem", model.stages["stem"]), (64, 64))
    assert 20 <= canvas.height <= 25
    assert 20 <= canvas.width <= 25


def test_units_are_the_most_selective_the_median_and_random_ones() -> None:
    live = np.array([1, 1, 0, 1, 1, 1], dtype=bool)
    selectivity = np.array([0.2, 0.9, 1.0, 0.4, 0.1, 0.6])
    assert pick_by_selectivity("early", selectivity, 2, live, seed=1) == [1, 3]
    three = {pick_by_selectivity("early", selectivity, 3, live, seed=seed)[2] for seed in range(20)}
    assert three == {0, 4, 5}
    assert sorted(pick_by_selectivity("early", selectivity, 9, live, seed=1)) == [0, 1, 3, 4, 5]
    assert pick_by_selectivity("early", selectivity, 1, np.zeros(6, dtype=bool), seed=1) == [2]


def test_units_are_spread_over_the_live_ones() -> None:
    live = np.array([0, 1, 0, 1, 1, 0, 1, 1], dtype=bool)
    assert pick_units("stem", 8, 3, live) == [1, 4, 7]
    assert pick_units("stem", 8, 20, live) == [1, 3, 4, 6, 7]
    assert pick_units("stem", 8, [2, 0], live) == [2, 0]
    assert pick_units("stem", 3, 2, np.zeros(3, dtype=bool)) == [0, 2]
    with pytest.raises(UserError, match="'stem' has no unit 8; it has units 0 to 7"):
        pick_units("stem", 8, [8])
