"""Saliency of a linear score is its weight; deletion and insertion of pixels that are known to matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustness.probes import saliency
from robustness.probes.attribution import attributions
from robustness.probes.layers import probing
from tests.probes.conftest import Weighted


@pytest.fixture
def scene() -> tuple[nn.Module, Tensor, Tensor]:
    weight = torch.zeros(3, 16, 16)
    weight[1, 4:8, 4:8] = 0.1
    weight[2, 4:8, 4:8] = -0.02
    images = torch.full((3, 3, 16, 16), 0.5)
    images[:, 1, 4:8, 4:8] = 0.9
    return Weighted(weight), images, torch.ones(3, dtype=torch.long)


def test_the_map_is_the_largest_weight_over_colours(scene) -> None:
    model, images, labels = scene
    with probing(model, seed=0):
        maps = attributions(
            model, images, labels, methods=("gradient", "deconvolution", "guided", "smoothgrad")
        )
    for method in maps:
        torch.testing.assert_close(maps[method], model.weight.detach().abs().amax(0).expand(3, -1, -1))


def test_deleting_what_matters_first_is_known(scene) -> None:
    model, images, labels = scene
    maps = model.weight.detach().abs().amax(0).expand(3, -1, -1)
    with probing(model, seed=0):
        deletion = saliency.erase(model, images, labels, maps, "deletion", 16, 128)
        insertion = saliency.erase(model, images, labels, maps, "insertion", 16, 128)
        clean = model(images).softmax(1)[:, 1]
        grey = model(torch.full_like(images, 0.5)).softmax(1)[:, 1]
    assert deletion.shape == (3, 17)
    torch.testing.assert_close(deletion[:, 0], clean)
    # The sixteen pixels that matter are a sixteenth of the image: after the first part nothing is left.
    torch.testing.assert_close(deletion[:, 1:], grey[:, None].expand(-1, 16))
    torch.testing.assert_close(insertion[:, 1:], clean[:, None].expand(-1, 16))
    assert (insertion[:, 0] < clean).all()


def test_the_numbers_tell_a_good_map_from_a_random_one(scene) -> None:
    model, images, labels = scene
    result = saliency.run(model, images, labels, count=3, smoothing=0.5)
    rows = result.table[result.table.unit == "all"].set_index("metric")["value"]
    assert rows["gradient/deletion"] < rows["random/deletion"] - 0.01
    assert rows["gradient/insertion"] > rows["random/insertion"] + 0.0005
    assert rows["gradient/sensitivity"] == pytest.approx(0, abs=1e-6)
    assert rows["gradient/concentration"] == pytest.approx(1)
    assert result.arrays["gradient/maps"].max() == 1
    assert int(result.arrays["rectifiers"]) == 1


def test_the_models_gradient_is_not_left_changed(scene) -> None:
    model, images, labels = scene
    before = torch.autograd.grad(model(images)[:, 1].sum(), model.weight)[0]
    saliency.run(model, images, labels, count=2)
    after = torch.autograd.grad(model(images)[:, 1].sum(), model.weight)[0]
    np.testing.assert_array_equal(before.numpy(), after.numpy())


def test_masks_and_scenes_give_rows_of_their_own(scene) -> None:
    """A net that looks at nothing but the background: none of its relevance lies on the object."""
    model, images, labels = scene
    masks = torch.zeros(3, 16, 16, dtype=torch.uint8)
    masks[:, 10:14, 10:14] = 1
    masks[:, 4:8, 4:8] = 2  # all that the net looks at is a distractor
    scenes = {"clutter/distractors/8": saliency.Scenes(images, labels, masks)}
    result = saliency.run(model, images, labels, count=3, smoothing=0.5, masks=masks, scenes=scenes)
    rows = result.table[result.table.unit == "all"].set_index("metric")["value"]
    assert rows["mask_area"] == pytest.approx(1 / 16)
    assert rows["gradient/mass"] == rows["integrated/mass"] == rows["gradient/rank"] == 0
    assert rows["random/mass"] == pytest.approx(1 / 16, abs=0.02)
    assert rows["clutter_distractors_8/gradient/distractor_mass"] == pytest.approx(1)
    assert rows["clutter_distractors_8/gradient/mass"] == 0
    assert "clutter_distractors_8/smoothgrad/mass" not in rows
