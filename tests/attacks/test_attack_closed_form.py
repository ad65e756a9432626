"""On a linear model of two classes every minimal perturbation is known: |margin| / dual norm of weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from known_models import linear_case

from robustness import attacks
from robustness.attacks import geometry, losses

DUAL = {"linf": 1, "l2": 2, "l1": torch.inf}


def _distance(norm: str) -> float:
    model, _, _ = linear_case()
    return float(1 / torch.linalg.vector_norm(model.weight.detach(), ord=DUAL[norm]))


@pytest.mark.parametrize(
    ("name", "norm", "over"),
    [
        ("deepfool", "linf", 0.02),
        ("deepfool", "l2", 0.02),
        ("carlini_wagner", "l2", 0),
        ("fmn", "linf", 0),
        ("fmn", "l2", 0),
    ],
)
def test_smallest_perturbation(name: str, norm: str, over: float) -> None:
    """DeepFool goes 2 % beyond the boundary."""
    model, images, labels = linear_case()
    table = attacks.attack(model, images, labels, {name: {}}, [1.0], attacks.Setup(norm=norm)).table
    found = table[np.isinf(table["epsilon"])]["distance"].to_numpy()
    assert found == pytest.approx((1 + over) * _distance(norm), rel=0.01)
    assert (found >= _distance(norm) * (1 - 1e-5)).all(), "nearer than the boundary is impossible"


VONENETS_PGD = {"steps": 64, "rel_stepsize": 0.03125, "random_start": False}
"""The attack of Dapello et al. 2020."""


@pytest.mark.parametrize(
    ("name", "norm", "settings"),
    [
        ("fgsm", "linf", {}),
        ("fgsm", "l2", {}),
        ("pgd", "linf", {"steps": 20}),
        ("pgd", "l2", {"steps": 150}),
        ("pgd", "l1", {"steps": 60}),
        *(("pgd", norm, VONENETS_PGD) for norm in ("linf", "l2", "l1")),
        ("apgd_ce", "linf", {"steps": 20}),
        ("apgd_ce", "l2", {"steps": 40}),
        ("apgd_dlr", "linf", {"steps": 20}),
        ("apgd_targeted", "linf", {"steps": 20, "targets": 1}),
        ("apgd_targeted", "l2", {"steps": 40, "targets": 1}),
    ],
)
def test_threshold_of_robust_accuracy(name: str, norm: str, settings: dict[str, int]) -> None:
    model, images, labels = linear_case(classes=5)
    limit = _distance(norm)
    epsilons, setup = [0.99 * limit, 1.01 * limit], attacks.Setup(norm=norm)
    table = attacks.attack(model, images, labels, {name: settings}, epsilons, setup).table
    robust = table[np.isfinite(table["epsilon"])].groupby("epsilon")["robust"].mean()
    assert robust.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("steps", [1, 5, 32, 64])
def test_steps_from_the_image_add_up_to_the_ball(steps: int) -> None:
    """On a linear model every step of ε/32 along the sign of the gradient goes the same way, for 32 steps."""
    model, images, labels = linear_case()
    epsilon = 0.9 * _distance("linf")
    settings = VONENETS_PGD | {"steps": steps}
    found = attacks.attack(
        model, images, labels, {"pgd": settings}, [epsilon], attacks.Setup(), keep=len(images)
    ).adversarials[epsilon]
    moved = (found - images).abs()
    assert moved.amax().item() == pytest.approx(epsilon * min(steps, 32) / 32, rel=1e-3)
    assert (moved[moved > 0] > 0.99 * moved.amax()).all()


def test_dlr_by_hand() -> None:
    logits = torch.tensor([[3.0, 1.0, 0.0, -2.0], [3.0, 1.0, 0.0, -2.0]])
    labels, targets = torch.tensor([0, 1]), torch.tensor([2, 0])
    # −(3 − 1)/(3 − 0) for the right answer, −(1 − 3)/(3 − 0) for the wrong one
    assert losses.dlr(logits, labels).tolist() == pytest.approx([-2 / 3, 2 / 3])
    # −(3 − 0)/(3 − ½(0 − 2)) and −(1 − 3)/(3 − ½(0 − 2))
    assert losses.targeted_dlr(logits, labels, targets).tolist() == pytest.approx([-3 / 4, 2 / 4])
    assert losses.margin(logits, labels).tolist() == pytest.approx([-2, 2])
    for loss in (losses.dlr, lambda z, y: losses.targeted_dlr(z, y, targets)):
        assert torch.allclose(loss(7 * logits + 11, labels), loss(logits, labels), atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_projection_on_the_ball(norm: str) -> None:
    generator = torch.Generator().manual_seed(0)
    centre = torch.rand(20, 3, 4, 4, generator=generator)
    far = centre + torch.randn(centre.shape, generator=generator)
    epsilon = {"linf": 0.1, "l2": 0.5, "l1": 2.0}[norm]
    inside = geometry.project(far, centre, epsilon, norm)
    assert (geometry.size(inside - centre, norm) <= epsilon * (1 + 1e-6)).all()
    assert inside.min() >= 0
    assert inside.max() <= 1
    near = centre + geometry.random_points((3, 4, 4), norm, epsilon / 2, range(20))
    near = near.clamp(0, 1)
    assert torch.allclose(geometry.project(near, centre, epsilon, norm), near, atol=1e-6)


def test_projection_on_the_l1_ball_by_hand() -> None:
    """(3, 1, 0) on the ball of size 2: threshold 1, so (2, 0, 0); of size 3: ½, so (2½, ½, 0)."""
    delta = torch.tensor([3.0, -1.0, 0.0]).view(1, 1, 1, 3)
    for size, expected in ((2.0, [2, 0, 0]), (3.0, [2.5, -0.5, 0])):
        assert geometry._project_l1(delta, size).flatten().tolist() == pytest.approx(expected, abs=1e-4)
