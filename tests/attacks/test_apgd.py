"""APGD and Square against small calculations of their own, written from the papers."""

from __future__ import annotations

import math

import pytest
import torch
from known_models import Curved, linear_case
from torch import Tensor, nn

from robustness.attacks import geometry
from robustness.attacks.apgd import APGD, checkpoints
from robustness.attacks.attacked_model import AttackedModel
from robustness.attacks.engine import search
from robustness.attacks.square import Square


@pytest.mark.parametrize(
    ("steps", "marks"),
    [
        (100, [22, 41, 57, 70, 80, 87, 93, 99]),
        (50, [11, 21, 30, 38, 45]),
        (20, [4, 7, 9, *range(10, 21)]),
        (10, [2, *range(3, 11)]),
    ],
)
def test_checkpoints_are_those_of_the_authors_code(steps: int, marks: list[int]) -> None:
    assert checkpoints(steps)[: len(marks)] == marks


def _reference(
    model: nn.Module, x0: Tensor, y: int, start: Tensor, epsilon: float, steps: int
) -> list[float]:
    """Algorithm 1 of the paper, as its authors' code takes it, for one image, L∞ and cross-entropy: the loss
    at every point, and the step sizes at the end as the last element."""

    def value_and_slope(x: Tensor) -> tuple[float, Tensor]:
        x = x.clone().requires_grad_()
        loss = -model(x).log_softmax(1)[0, y]
        return loss.item(), torch.autograd.grad(loss, x)[0]

    def project(x: Tensor) -> Tensor:
        return torch.maximum(torch.minimum(x, x0 + epsilon), x0 - epsilon).clamp(0, 1)

    marks = [0, *checkpoints(steps)]
    eta, x, before = 2 * epsilon, start, start
    value, slope = value_and_slope(x)
    values, best = [value], (value, x, slope)
    best_at, halved = {0: -math.inf}, True
    for k in range(steps + 1):
        if k in marks[1:]:
            last = marks[marks.index(k) - 1]
            rises = sum(values[i + 1] > (values[i] if i else 0) for i in range(last, k))
            halve = rises <= 0.75 * (k - last) or (not halved and best[0] <= best_at[last])
            best_at[k], halved = best[0], halve
            if halve:
                eta, (_, x, slope) = eta / 2, best
        if k == steps:
            break
        z = project(x + eta * slope.sign())
        after = z if k == 0 else project(x + 0.75 * (z - x) + 0.25 * (x - before))
        before, x = x, after
        value, slope = value_and_slope(x)
        values.append(value)
        if value > best[0]:
            best = (value, x, slope)
    return [*values, eta]


@pytest.mark.parametrize("seed", range(4))
def test_apgd_takes_the_steps_of_the_paper(seed: int) -> None:
    model, steps, epsilon = Curved(12), 40, 0.15
    generator = torch.Generator().manual_seed(seed)
    x0 = 0.3 + 0.4 * torch.rand(1, 3, 2, 2, generator=generator)
    y = model(x0).argmax(1)
    attack, attacked = APGD(steps=steps), AttackedModel(model, seed=seed)
    held = {}
    start = attack.start

    def remember(*args: object) -> dict[str, Tensor]:
        held["state"] = start(*args)
        held["first"] = held["state"]["x"].clone()
        return held["state"]

    attack.start = remember
    found = search(attack, attacked, x0, y, [0], epsilon, stop_early=False, trace=True)
    *values, eta = _reference(model, x0, int(y), held["first"], epsilon, steps)
    assert found.losses[0].tolist() == pytest.approx(values, rel=1e-3, abs=1e-5)
    assert eta < 2 * epsilon, "the case must halve its step, or it tests little"
    assert float(geometry.size(held["first"] - x0, "linf")) == pytest.approx(epsilon, rel=1e-5)


def test_the_step_is_halved_where_the_loss_stands_still() -> None:
    """On a flat loss no step rises: the step is halved at every checkpoint."""
    attack, attacked = APGD(steps=100), AttackedModel(lambda x: 0 * x.flatten(1)[:, :4])
    states = []
    update = attack.update
    attack.update = lambda state, *rest: (update(state, *rest), states.append(float(state["step"][0])))
    search(attack, attacked, torch.full((1, 3, 4, 4), 0.5), torch.tensor([0]), [0], 0.1, stop_early=False)
    sizes = [0.2 * 0.5 ** sum(mark <= step for mark in checkpoints(100)) for step in range(100)]
    assert states == pytest.approx(sizes)


def test_targets_are_the_most_likely_wrong_classes_one_per_restart() -> None:
    attack = APGD(steps=2, loss="targeted_dlr", targets=9)
    logits = torch.tensor([[1.0, 5, 3, 4, 2]])
    x0, y, key = torch.full((1, 3, 4, 4), 0.5), torch.tensor([1]), torch.tensor([7])
    targets = [
        int(attack.start(x0, y, key, 0.1, torch.tensor([turn]), logits)["target"]) for turn in range(4)
    ]
    assert targets == [3, 2, 4, 0]
    assert attack.restarts(5) == 4, "five classes have four wrong ones"
    assert attack.restarts(100) == 9


@pytest.mark.parametrize("steps", [10_000, 5_000])
def test_square_shrinks_as_in_the_paper(steps: int) -> None:
    """p = 0.8, halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000 of 10,000 queries."""
    marks = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000]
    queries = [0, 5, 10, 11, 50, 51, 200, 201, 700, 1500, 3000, 5000, 7000, 9000]
    at = torch.tensor([query * steps // 10_000 for query in queries])
    expected = [
        round(math.sqrt(0.8 / 2 ** sum(step * 10_000 / steps > mark for mark in marks) * 200 * 200))
        for step in at.tolist()
    ]
    assert Square(steps=steps).side(at, 200, 200).tolist() == expected
    assert expected[0] == 179
    assert expected[-1] == 8


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_square_asks_for_no_gradient_and_never_leaves_the_ball(norm: str) -> None:
    model, images, labels = linear_case()
    epsilon, seen = {"linf": 0.02, "l2": 0.2}[norm], []

    def blind(x: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        assert not x.requires_grad
        seen.append(x.clone())
        return model(x)

    attack, attacked = Square(norm=norm, steps=60), AttackedModel(blind)
    found = search(attack, attacked, images, labels, range(6), epsilon, stop_early=False, trace=True)
    points = [batch for batch in seen if len(batch) == 6][1:]  # the first batch are the clean images
    for batch in points:
        assert (geometry.size(batch - images, norm) <= epsilon * (1 + 1e-5)).all()
        assert batch.min() >= 0
        assert batch.max() <= 1
    best = torch.tensor(found.losses).amax(1)
    assert torch.allclose(-model.margin(found.images).detach(), best, atol=1e-4), "the best point is kept"
    assert (best > torch.tensor(found.losses[:, 0]) + 0.05).all(), "squares must raise the margin"
