"""Likeness of stages that are rotations of the image, of unrelated ones, and of images under a shift."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustness.errors import UserError
from robustness.probes import similarity


class Turned(nn.Module):
    """The pixels, turned by an orthogonal matrix, and one number of them."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.flatten = nn.Flatten()
        self.turn = nn.Linear(48, 48, bias=False)
        self.turn.weight.data = torch.linalg.qr(torch.randn(48, 48, generator=generator))[0]
        self.one = nn.Linear(48, 1, bias=False)
        self.stages = {"stem": "flatten", "middle": "turn", "penultimate": "one"}

    def forward(self, x: Tensor) -> Tensor:
        return self.one(self.turn(self.flatten(x)))


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(60, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def test_a_rotation_is_no_change_and_one_number_is_one(pictures: Tensor) -> None:
    other = torch.rand(40, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    places = torch.arange(59, 19, -1)
    shifted = {"pose/same/1": (places, pictures[places]), "pose/other/1": (places, other)}
    result = similarity.run(Turned(), pictures, torch.zeros(60), shifted=shifted)
    numbers = result.table.set_index(["layer", "metric"])["value"]
    assert result.arrays["within"][0, 1] == pytest.approx(1, abs=1e-4)
    assert numbers["stem", "with_last"] < 0.6
    assert numbers["penultimate", "with_last"] == pytest.approx(1)
    for stage in ("stem", "middle", "penultimate"):
        assert numbers[stage, "shifted/pose_same_1"] == pytest.approx(1, abs=1e-4)
        assert abs(numbers[stage, "shifted/pose_other_1"]) < 0.15
    assert result.arrays["gram/middle"].shape == (60, 60)
    np.testing.assert_allclose(np.diag(result.arrays["shifted/pose/same/1"]), 1, atol=1e-4)


def test_few_images_are_refused(pictures: Tensor) -> None:
    with pytest.raises(UserError, match="7 images are too few"):
        similarity.run(Turned(), pictures[:7], torch.zeros(7))
