"""The sliding square on a network that looks at one place, and the numbers it is read by."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustness.errors import UserError
from robustness.probes import occlusion


class OnePlace(nn.Module):
    """Class 1 is the sum of pixels (8…11, 4…7); nothing else matters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 4, stride=4, bias=False)
        self.conv.weight.data.fill_(1 / 16)
        self.relu = nn.ReLU()
        self.stages = {"stem": "relu"}

    def forward(self, x: Tensor) -> Tensor:
        score = self.relu(self.conv(x))[:, 0, 2, 1]
        return torch.stack([torch.zeros_like(score), 4 * score], 1)


def bright_place() -> tuple[Tensor, Tensor]:
    images = torch.zeros(6, 3, 16, 16)
    images[:, :, 8:12, 4:8] = 1
    return images, torch.ones(6, dtype=torch.long)


def test_the_place_that_matters_is_found() -> None:
    images, labels = bright_place()
    result = occlusion.run(OnePlace(), images, labels, count=2, side=0.25, step=0.25, grey=0.0)
    probability = result.arrays["probability"]
    assert probability.shape == (2, 4, 4)
    assert np.unravel_index(probability[0].argmin(), (4, 4)) == (2, 1)
    others = np.delete(probability[0].ravel(), 2 * 4 + 1)
    np.testing.assert_allclose(others, result.arrays["clean_probability"][0], rtol=1e-6)
    rows = result.table[result.table.unit == "all"].set_index(["layer", "metric"])["value"]
    assert rows["logits", "half_area"] == 1 / 16
    assert rows["logits", "gini"] == pytest.approx(15 / 16)
    assert rows["logits", "label_changes"] == pytest.approx(1 / 16)
    # The unit of the stem that answers most is the one at this place; its field is the place itself.
    assert rows["stem", "change_inside"] == pytest.approx(1)
    assert rows["stem", "change_outside"] == 0
    assert rows["stem", "half_area"] == 1 / 16


def test_a_square_on_any_part_of_the_place_takes_its_share() -> None:
    images, labels = bright_place()
    result = occlusion.run(OnePlace(), images, labels, count=1, side=0.25, step=1 / 8, grey=0.0)
    activity = result.arrays["stem/activity"][0]
    assert activity.shape == (7, 7)
    assert activity[4, 2] == pytest.approx(0)
    assert activity[4, 3] == pytest.approx(0.5)
    assert activity[5, 3] == pytest.approx(0.75)
    assert activity[0, 0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("drops", "area", "gini"),
    [
        ([1, 0, 0, 0], 0.25, 0.75),
        ([1, 1, 1, 1], 0.5, 0.0),
        ([4, 2, 1, 1], 0.25, 0.3125),
        ([2, -9, 0, 2], 0.25, 0.5),
    ],
)
def test_half_area_and_gini(drops: list[float], area: float, gini: float) -> None:
    values = np.array(drops, dtype=float)
    assert occlusion.half_area(values) == area
    assert occlusion.gini(values) == pytest.approx(gini)


def test_nothing_drops() -> None:
    assert np.isnan(occlusion.half_area(np.array([0.0, -1.0])))
    assert np.isnan(occlusion.gini(np.zeros(3)))


def test_correspondence_of_equal_opposite_and_unlike_changes() -> None:
    alike = torch.tensor([[1.0, -2.0, 0.0], [3.0, -1.0, 0.0]])
    assert occlusion.correspondence(alike) == 0
    assert occlusion.correspondence(torch.tensor([[1.0, -1.0], [-1.0, 1.0]])) == 1
    three = torch.tensor([[1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    assert occlusion.correspondence(three) == pytest.approx(1 / 3)


def test_the_same_part_of_equal_images_corresponds() -> None:
    images, labels = bright_place()
    images = images + 0.1
    result = occlusion.run(OnePlace(), images, labels, count=1, side=0.25, groups=1)
    rows = result.table.set_index(["layer", "metric", "unit"])["value"]
    assert rows["stem", "correspondence", "all"] == 0
    assert rows["stem", "correspondence_random", "all"] > 0


def test_positions_reach_the_edge() -> None:
    assert occlusion.positions(10, 7, 4, 3) == [(0, 0), (0, 3), (3, 0), (3, 3), (6, 0), (6, 3)]
    assert occlusion.positions(9, 4, 4, 4) == [(0, 0), (4, 0), (5, 0)]


def test_examples_are_correct_and_of_many_classes() -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :, 0, 0]

    labels = torch.tensor([0, 0, 1, 1, 2])
    images = torch.eye(3)[torch.tensor([0, 0, 2, 1, 2])][:, :, None, None]
    assert occlusion.examples(Fixed(), images, labels, 4) == [0, 3, 4, 1]
    assert occlusion.examples(Fixed(), images, labels, 9) == [0, 3, 4, 1, 2]


def test_a_square_as_large_as_the_image_is_refused() -> None:
    images, labels = bright_place()
    with pytest.raises(UserError, match=r"side 1.0 and step 0.1 are shares"):
        occlusion.run(OnePlace(), images, labels, side=1.0)
