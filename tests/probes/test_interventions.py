"""Effects of the parts of a scene, where it is known what a network looks at."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from robustness.data.image_set import DISTRACTOR, TARGET
from robustness.probes import interventions, saliency
from robustness.probes.saliency import Scenes
from tests.probes.conftest import Weighted

OBJECT = (slice(6, 10), slice(6, 10))
SMALL, MIDDLE, LARGE = (slice(0, 2), slice(0, 2)), (slice(12, 15), slice(0, 3)), (slice(0, 4), slice(10, 16))
SIZES = torch.tensor([16.0, 4.0, 24.0, 9.0])
"""Pixels of the object and of the distractors, in the order in which they are found."""


@pytest.fixture
def scenes() -> Scenes:
    """Three scenes on blue ground (0, 0, 1), a white object, black distractors of three sizes."""
    masks = torch.zeros(3, 16, 16, dtype=torch.uint8)
    twins = torch.zeros(3, 3, 16, 16)
    twins[:, 2] = 1
    twins[(slice(None), slice(None), *OBJECT)] = 1
    images = twins.clone()
    for place in (SMALL, MIDDLE, LARGE):
        images[(slice(None), slice(None), *place)] = 0
        masks[(slice(None), *place)] = DISTRACTOR
    masks[(slice(None), *OBJECT)] = TARGET
    return Scenes(images, torch.ones(3, dtype=torch.long), masks, twins)


def _found(weight: Tensor, scenes: Scenes) -> tuple[dict[str, float], Tensor]:
    """The rows of the probe, and the effects of the first scene's parts."""
    model = Weighted(weight, offset=100)
    result = saliency.run(
        model, scenes.images, scenes.labels, count=3, masks=scenes.masks,
        scenes={"clutter/distractors/8": scenes},
    )  # fmt: skip
    rows = result.table[(result.table.unit == "all") & result.table.metric.str.startswith("clutter_")]
    metrics = rows["metric"].str.removeprefix("clutter_distractors_8/")
    parts = interventions.parts(scenes.masks)
    effects = interventions.effects(model, scenes.images, scenes.labels, scenes.masks, scenes.twins, parts)
    return dict(zip(metrics, rows["value"], strict=True)), effects[parts[1] == 0].detach()


def test_the_parts_are_the_object_and_what_does_not_touch(scenes: Scenes) -> None:
    scenes.masks[1, 5, 15] = DISTRACTOR  # a single pixel: too small
    scenes.masks[2, 2, 2] = DISTRACTOR  # grows the smallest by a corner
    where, owners, is_object = interventions.parts(scenes.masks)
    assert owners.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert is_object.tolist() == [True, False, False, False] * 3
    assert where.flatten(1).sum(1).tolist() == [*SIZES, *SIZES, 16, 5, 24, 9]


def test_a_net_that_looks_at_the_ground_alone(scenes: Scenes) -> None:
    """It scores blue: the white object is as good, black distractors cost their area; integrated gradients,
    from grey, know the order."""
    weight = torch.zeros(3, 16, 16)
    weight[2] = 0.25
    found, effects = _found(weight, scenes)
    torch.testing.assert_close(effects, torch.tensor([0, -1.0, -6.0, -2.25]))
    assert found["integrated/effect_rank"] == pytest.approx(1)
    assert found["object_effect"] == pytest.approx(0)
    assert found["distractor_effect"] == pytest.approx(-9.25 / 3)
    assert found["distractor_share"] == pytest.approx(1)
    # The object comes second in area and last in effect: 1 − 6·(2² + 1 + 1)/(4·15) = 0.4.
    assert found["gradient/effect_rank"] == found["area/effect_rank"] == pytest.approx(0.4)
    assert found["area/signed_effect_rank"] == pytest.approx(-0.4, abs=0.01)


def test_a_net_that_looks_at_one_distractor_alone(scenes: Scenes) -> None:
    weight = torch.zeros(3, 16, 16)
    weight[(slice(None), *SMALL)] = -0.5  # black speaks for the class
    found, effects = _found(weight, scenes)
    torch.testing.assert_close(effects, torch.tensor([0, 2.0, 0, 0]))
    for method in ("gradient", "integrated", "smoothgrad", "guided"):
        assert found[f"{method}/effect_rank"] == pytest.approx(1), method
    # Black times the gradient is 0 everywhere: no order.
    assert np.isnan(found["gradient_input/effect_rank"])
    assert found["area/effect_rank"] == pytest.approx(-0.775, abs=0.001)
    assert found["distractor_share"] == 1


def test_a_net_that_looks_at_the_object_alone(scenes: Scenes) -> None:
    weight = torch.zeros(3, 16, 16)
    weight[(slice(None), *OBJECT)] = 0.25
    found, effects = _found(weight, scenes)
    torch.testing.assert_close(effects, torch.tensor([8.0, 0, 0, 0]))  # of white, blue is left
    assert found["integrated/effect_rank"] == found["gradient_input/effect_rank"] == pytest.approx(1)
    assert found["distractor_share"] == 0
    assert found["object_effect"] == 8


def test_a_blind_net_and_too_few_parts_have_no_order(scenes: Scenes) -> None:
    found, _ = _found(torch.zeros(3, 16, 16), scenes)
    assert np.isnan(found["integrated/effect_rank"])
    assert np.isnan(found["distractor_share"])
    two = interventions.agreement(torch.arange(2.0), torch.arange(2.0), torch.zeros(2), 1)
    assert np.isnan(two).all()
