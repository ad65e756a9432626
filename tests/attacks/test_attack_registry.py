"""Every attack of the registry in every norm: what holds for all of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from digits_net import trained
from foolbox import Misclassification, PyTorchModel
from known_models import Curved

from robustness import attacks
from robustness.attacks import Outcome, Setup, geometry, losses
from robustness.attacks.registry import register
from robustness.errors import UserError

QUICK = {
    "pgd": {"steps": 5},
    "apgd_ce": {"steps": 8},
    "apgd_dlr": {"steps": 8},
    "apgd_targeted": {"steps": 5, "targets": 2},
    "square": {"steps": 20},
    "random_noise": {"steps": 3},
    "deepfool": {"steps": 10},
    "carlini_wagner": {"steps": 10},
    "fmn": {"steps": 10},
    "hopskipjump": {"steps": 1},
}
EPSILON = {"linf": 3 / 255, "l2": 0.3, "l1": 3.0}
CASES = [(name, norm) for name in attacks.names() for norm in attacks.get(name).norms]
WITHOUT_GRADIENT = {"random_noise", "square", "hopskipjump"}
DETERMINISTIC = {"fgsm", "deepfool", "carlini_wagner", "fmn"}
COUNT = 8


def _samples() -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    """The network and eight digits, the last two of which it has wrong."""
    net, images, labels = trained(width=4)
    with torch.no_grad():
        right = net(images).argmax(1) == labels
    rows = torch.cat([right.nonzero()[: COUNT - 2, 0], (~right).nonzero()[:2, 0]])
    return net, images[rows], labels[rows]


def _run(name: str, norm: str, order: list[int] | None = None, **settings: object) -> Outcome:
    net, images, labels = _samples()
    order = list(range(COUNT)) if order is None else order
    setup = Setup(norm=norm, **settings)
    suite = {name: QUICK.get(name, {})}
    return attacks.attack(
        net, images[order], labels[order], suite, [0, EPSILON[norm]], setup, samples=order, keep=COUNT
    )


@cache
def _plain(name: str, norm: str) -> Outcome:
    return _run(name, norm, batch_size=COUNT)


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_images_stay_in_the_ball_and_wrong_ones_count_as_broken(name: str, norm: str) -> None:
    found = _plain(name, norm)
    _, clean, _ = _samples()
    adversarial = found.adversarials[EPSILON[norm]]
    assert adversarial.min() >= 0
    assert adversarial.max() <= 1
    assert float(geometry.size(adversarial - clean, norm).max()) - EPSILON[norm] <= 1e-6
    assert torch.equal(found.adversarials[0], clean)

    worst = found.table
    at_zero, at_epsilon = (worst[worst["epsilon"] == value] for value in (0, EPSILON[norm]))
    assert at_zero["clean_correct"].tolist() == [True] * 6 + [False] * 2
    assert at_zero["robust"].tolist() == [True] * 6 + [False] * 2
    wrong = at_epsilon[~at_epsilon["clean_correct"]]
    assert not wrong["robust"].any()
    assert (wrong["by"] == "clean").all()
    assert (wrong["distance"] == 0).all()
    if name not in WITHOUT_GRADIENT:
        assert at_epsilon["robust"].sum() < 6, "an attack that breaks nothing here tests nothing"


GOLDEN = {
    ("apgd_ce", "linf"): -0.058576,
    ("apgd_ce", "l2"): -0.760518,
    ("apgd_dlr", "linf"): -0.359240,
    ("apgd_dlr", "l2"): -0.752642,
    ("apgd_targeted", "linf"): -0.176337,
    ("apgd_targeted", "l2"): -0.704665,
    ("carlini_wagner", "l2"): 0.735085,
    ("deepfool", "linf"): 0.077001,
    ("deepfool", "l2"): 0.428026,
    ("fgsm", "linf"): -0.184991,
    ("fgsm", "l2"): -0.281776,
    ("fmn", "linf"): 0.046594,
    ("fmn", "l2"): 0.276638,
    ("fmn", "l1"): 1.112103,
    ("hopskipjump", "linf"): 0.060450,
    ("hopskipjump", "l2"): 0.100080,
    ("pgd", "linf"): -0.869018,
    ("pgd", "l2"): -0.783649,
    ("pgd", "l1"): -0.597469,
    ("random_noise", "linf"): -2.149913,
    ("random_noise", "l2"): -1.915162,
    ("random_noise", "l1"): -2.241935,
    ("square", "linf"): -1.960862,
    ("square", "l2"): -2.070411,
}


def test_every_attack_is_here() -> None:
    assert set(CASES) == set(GOLDEN)


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_golden_number(name: str, norm: str) -> None:
    """On a smooth network of random weights: the mean margin at ε, or the mean size of the perturbation."""
    assert _golden(name, norm) == pytest.approx(GOLDEN[name, norm], rel=1e-3)


def _golden(name: str, norm: str) -> float:
    model = Curved(48)
    images = 0.3 + 0.4 * torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(5))
    labels, epsilon = model(images).argmax(1), {"linf": 0.01, "l2": 0.05, "l1": 0.2}[norm]
    suite, setup = {name: QUICK.get(name, {})}, Setup(norm=norm, seed=2)
    found = attacks.attack(model, images, labels, suite, [epsilon], setup, keep=6)
    if attacks.get(name).kind == "minimal":
        return float(found.table[np.isinf(found.table["epsilon"])]["distance"].mean())
    return float(losses.margin(model(found.adversarials[epsilon]), labels).mean())


@pytest.mark.parametrize(("name", "norm"), [case for case in CASES if attacks.get(case[0]).kind == "fixed"])
def test_without_a_budget_nothing_changes(name: str, norm: str) -> None:
    net, images, labels = _samples()
    (planned,) = attacks.plan({name: QUICK.get(name, {})}, norm)
    model = PyTorchModel(net, bounds=(0, 1))
    _, (points,), _ = planned.build()(model, images[:3], Misclassification(labels[:3]), epsilons=[0.0])
    assert torch.allclose(points, images[:3], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_batch_size_and_order_change_no_result(name: str, norm: str) -> None:
    first = _plain(name, norm)
    order = [5, 2, 7, 0, 1, 6, 4, 3]
    other = _run(name, norm, order, batch_size=3)
    left = first.table.sort_values(["epsilon", "sample"])
    right = other.table.sort_values(["epsilon", "sample"])
    for column in ("sample", "label", "robust", "clean_correct", "by"):
        assert left[column].tolist() == right[column].tolist(), column
    # convolutions of other batches round differently, by parts of a million
    np.testing.assert_allclose(left["distance"], right["distance"], rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_the_same_seed_gives_the_same_result_and_another_seed_other_points(name: str, norm: str) -> None:
    first, again = _plain(name, norm), _run(name, norm, batch_size=COUNT)
    assert first.table.equals(again.table)
    epsilon = EPSILON[norm]
    assert torch.equal(first.adversarials[epsilon], again.adversarials[epsilon])
    if name in DETERMINISTIC:
        return
    other = _run(name, norm, batch_size=COUNT, seed=1)
    if attacks.get(name).kind == "fixed":  # there the distances are about ε: the points tell
        assert not torch.equal(first.adversarials[epsilon], other.adversarials[epsilon])
    else:
        assert not first.table["distance"].equals(other.table["distance"])


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_it_attacks_a_model_with_noise_the_same_in_any_batch(name: str, norm: str) -> None:
    net, images, labels = trained(width=4, noise=0.3)
    suite, epsilon = {name: QUICK.get(name, {})}, EPSILON[norm]
    setup = Setup(norm=norm, eot_samples=2, eval_samples=4)
    first, second = (
        attacks.attack(net, images[:4], labels[:4], suite, [epsilon], replace(setup, batch_size=size)).table
        for size in (8, 2)
    )
    assert (first["noise"] == "live").all()
    assert first["robust"].tolist() == second["robust"].tolist()


@pytest.mark.parametrize(
    ("suite", "norm", "parts"),
    [
        ({"pdg": {}}, "linf", ("'pdg'", "did you mean pgd")),
        ({"pgd": {"step": 5}}, "linf", ("pgd", "'step'", "did you mean", "steps")),
        ({"pgd": {"steps": 0}}, "linf", ("pgd", "steps", "0")),
        ({"apgd_targeted": {"targets": 2.5}}, "linf", ("apgd_targeted", "targets", "2.5")),
        ({"square": {}}, "l1", ("square", "no norm l1", "linf, l2")),
        ({"carlini_wagner": {}}, "linf", ("carlini_wagner", "no norm linf", "it has l2")),
        ({"pgd": {}}, "l3", ("norm 'l3'", "l1", "l2")),
        ({"worst": {}}, "linf", ("'worst'", "unknown")),
        ({}, "linf", ("no attack", "pgd")),
    ],
)
def test_a_wrong_suite_is_named_in_one_line(suite: object, norm: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as caught:
        attacks.plan(suite, norm)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_norm_and_settings_reach_the_attack() -> None:
    first, second = attacks.plan({"fgsm": {}, "pgd": {"steps": 200}}, "l2")
    assert (first.name, second.name) == ("fgsm", "pgd")
    built = second.build()
    assert (built.norm, built.steps) == ("l2", 200)


def test_a_name_taken_twice_and_an_unknown_norm_are_refused() -> None:
    attacks.names()
    with pytest.raises(ValueError, match="'pgd' is registered twice"):
        register("pgd", norms=("linf",))(lambda norm: None)
    with pytest.raises(ValueError, match="unknown"):
        register("new_one", norms=("linfty",))(lambda norm: None)
    assert "new_one" not in attacks.names()
