"""The engine: who leaves, who comes, what is kept; the same through foolbox."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from foolbox import Misclassification, PyTorchModel
from known_models import Counting, linear_case
from torch import Tensor, nn

from robustness.attacks import losses
from robustness.attacks.apgd import APGD
from robustness.attacks.attacked_model import Answer, AttackedModel
from robustness.attacks.engine import search
from robustness.attacks.iterative import IterativeAttack, State
from robustness.attacks.pgd import PGD

Digits = tuple[nn.Module, Tensor, Tensor]


class Walk(IterativeAttack):
    """Goes through given shifts of the whole image, whatever the model says."""

    uses_gradient = False

    def __init__(self, shifts: list[float], restarts: int = 1) -> None:
        self.norm, self.steps, self.tries = "linf", len(shifts) - 1, restarts
        self.shifts = torch.tensor(shifts)

    def start(
        self, x0: Tensor, y: Tensor, seeds: Tensor, epsilon: float, restart: Tensor, logits: Tensor | None
    ) -> State:
        return {"x": x0 + self.shifts[0]}

    def restarts(self, classes: int) -> int:
        return self.tries

    def loss(self, logits: Tensor, y: Tensor, state: State) -> Tensor:
        return losses.margin(logits, y)

    def update(self, state: State, x0: Tensor, answer: Answer, step: Tensor, epsilon: float) -> None:
        state["x"] = x0 + self.shifts[(step + 1).clamp_max(len(self.shifts) - 1)].view(-1, 1, 1, 1)


def _brightness(x: Tensor) -> Tensor:
    """Class 0 up to a mean of 0.6, class 1 above."""
    mean = x.mean((1, 2, 3))
    return torch.stack([0.6 - mean, mean - 0.6, torch.full_like(mean, -9)], 1)


def _grey(*values: float) -> tuple[Tensor, Tensor]:
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, 4, 4).clone(), torch.zeros(len(values)).long()


def test_the_best_point_is_kept_not_the_last() -> None:
    images, labels = _grey(0.5)
    found = search(Walk([0.01, 0.03, 0.08, 0.02, 0.04]), AttackedModel(_brightness), images, labels, [0], 0.1)
    assert not found.broken[0]
    assert found.steps[0] == 4
    assert torch.allclose(found.images, images + 0.08)


def test_the_point_that_breaks_is_kept_before_a_worse_loss() -> None:
    images, labels = _grey(0.5, 0.3)
    walk, attacked = Walk([0.01, 0.12, 0.3, 0.05]), AttackedModel(_brightness)
    found = search(walk, attacked, images, labels, range(2), 0.5, trace=True)
    assert found.broken.tolist() == [True, False]
    assert found.steps.tolist() == [1, 3]
    assert torch.allclose(found.images[0], images[0] + 0.12)
    assert torch.allclose(found.images[1], images[1] + 0.3)
    # of an image that left, nothing is known from then on
    assert np.isnan(found.losses[0]).tolist() == [False, False, True, True]
    assert not np.isnan(found.losses[1]).any()


def test_without_early_stop_every_step_is_made_and_the_first_wrongest_point_noted() -> None:
    images, labels = _grey(0.5, 0.3)
    walk = Walk([0.01, 0.12, 0.3, 0.05], restarts=2)
    found = search(
        walk,
        AttackedModel(_brightness),
        images,
        labels,
        range(2),
        0.5,
        stop_early=False,
        trace=True,
        batch_size=1,
    )
    assert found.steps.tolist() == [6, 6], "three steps in each of two restarts"
    assert found.wrong.tolist() == [[0, 1, 1, 0], [0, 0, 0, 0]]
    assert not np.isnan(found.losses).any()
    assert torch.allclose(found.wrongest[0], images[0] + 0.12), "the first of the wrong points"
    assert torch.allclose(found.wrongest[1], images[1] + 0.01), "no point is wrong: the first of all"


def test_a_robust_image_is_attacked_again_and_a_broken_one_not() -> None:
    images, labels = _grey(0.5, 0.3)
    found = search(Walk([0.01, 0.12], restarts=3), AttackedModel(_brightness), images, labels, range(2), 0.5)
    assert found.steps.tolist() == [1, 3]


def test_slots_are_refilled_while_images_wait(digits: Digits) -> None:
    net, images, labels = digits
    with torch.no_grad():
        images, labels = images[:40], net(images[:40]).argmax(1)
    counted = Counting(net)
    attacked, done = AttackedModel(counted), []
    found = search(
        PGD(steps=6), attacked, images, labels, range(40), 2 / 255, batch_size=8, report=done.append
    )
    assert 5 < found.broken.sum() < 35
    looks = int((found.steps + 1).sum())
    first, *steps = counted.sizes  # the first asks for the number of classes
    assert first == 8
    assert max(steps) == 8
    assert sum(steps) <= 1.25 * looks, "slots of images that left may not be carried on"
    # all slots are full until the last image has been seated
    full = next(i for i, size in enumerate(steps) if size < 8)
    assert sum(steps[:full]) >= int((found.steps[:32] + 1).sum())
    assert done == sorted(done)
    assert done[-1] == 40


def test_found_points_are_really_wrong(digits: Digits) -> None:
    net, images, labels = digits
    found = search(
        APGD(steps=8), AttackedModel(net), images[:30], labels[:30], range(30), 2 / 255, batch_size=7
    )
    with torch.no_grad():
        wrong = (net(found.images).argmax(1) != labels[:30]).numpy()
    assert (wrong == found.broken).all()


@pytest.mark.parametrize("attack", [PGD(steps=6), APGD(steps=6), PGD(norm="l2", steps=6)])
def test_called_through_foolbox_it_gives_what_the_engine_gives(
    attack: IterativeAttack, digits: Digits
) -> None:
    net, images, labels = digits
    images, labels = images[:12], labels[:12]
    budgets = [1 / 255, 2 / 255] if attack.norm == "linf" else [0.1, 0.2]
    model = PyTorchModel(net, bounds=(0, 1))
    _, clipped, fell = attack(model, images, Misclassification(labels), epsilons=budgets)
    for epsilon, points, broken in zip(budgets, clipped, fell, strict=True):
        found = search(attack, AttackedModel(model), images, labels, range(12), epsilon)
        assert torch.allclose(points, found.images, atol=1e-6)
        assert broken.tolist() == found.broken.tolist()
    assert fell[1].sum() > fell[0].sum() > 0


def test_targeted_criteria_are_refused() -> None:
    from foolbox import TargetedMisclassification

    model, images, labels = linear_case()
    with pytest.raises(ValueError, match="Misclassification only"):
        PGD()(
            PyTorchModel(model.eval(), bounds=(0, 1)),
            images,
            TargetedMisclassification(labels),
            epsilons=[0.1],
        )
