"""The checks find masked gradients and wrong evaluations; an undefended network passes and falls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from digits_net import trained
from known_models import DetachedStem, RoundedInput, Saturated, linear_case
from torch import Tensor, nn

from robustness.attacks import Outcome, Setup, attack
from robustness.attacks.checks import Scale, reference_epsilon, run, strength, trustworthy
from robustness.attacks.checks.controls import Obfuscated
from robustness.attacks.checks.gradients import usefulness
from robustness.attacks.checks.strength import flatness
from robustness.attacks.checks.verdict import at_most, warn_above
from robustness.attacks.pgd import PGD
from robustness.errors import UserError

EPSILONS = [1 / 255, 2 / 255, 4 / 255, 8 / 255]
SUITE = {"pgd": {"steps": 20}, "apgd_targeted": {"steps": 10, "targets": 2}}
SCALE = Scale(samples=16, steps=10, longer_steps=40, queries=150, near_points=20, decision_samples=0)
SETUP = Setup(eot_samples=8, eval_samples=16, batch_size=64, seed=1)
N = 32

Case = tuple[nn.Module, Tensor, Tensor]


def evaluated(model: nn.Module, images: Tensor, labels: Tensor, setup: Setup = SETUP) -> Outcome:
    return attack(model, images[:N], labels[:N], SUITE, EPSILONS, setup, keep=8)


def checks(
    model: nn.Module, images: Tensor, labels: Tensor, outcome: Outcome, **options: object
) -> pd.DataFrame:
    setup, scale = options.pop("setup", SETUP), options.pop("scale", SCALE)
    return run(model, images[:N], labels[:N], outcome, setup, scale, **options).set_index("check")


def verdicts(found: pd.DataFrame, verdict: str) -> set[str]:
    return set(found.index[found["verdict"] == verdict])


@pytest.fixture(scope="module")
def plain() -> Case:
    return trained(width=4)


@pytest.fixture(scope="module")
def undefended(plain: Case) -> tuple[Outcome, pd.DataFrame]:
    model, images, labels = plain
    outcome = evaluated(*plain)
    return outcome, checks(model, images, labels, outcome, undefended=True, name="plain")


def test_an_undefended_net_passes_and_falls_at_8_255(undefended: tuple[Outcome, pd.DataFrame]) -> None:
    outcome, found = undefended
    worst = outcome.table.query("attack == 'worst'").groupby("epsilon")["robust"].mean()
    assert worst.iloc[-1] <= 0.05
    assert verdicts(found, "fail") == set(), found[["figure", "limit"]]
    assert found.loc["positive_control", "figure"] <= 0.05
    assert trustworthy(found.reset_index()).to_dict() == {"plain": True}


@pytest.mark.parametrize(
    ("destroy", "flags"),
    [
        (Saturated, {"gradients", "gradient_values"}),
        (RoundedInput, {"gradients", "gradient_values"}),
        (DetachedStem, {"graph", "gradients"}),
    ],
)
def test_destroyed_gradients_are_found_and_mark_the_model(
    destroy: type[nn.Module], flags: set[str], plain: Case
) -> None:
    net, images, labels = plain
    model = destroy(net)
    outcome = evaluated(model, images, labels)
    worst = outcome.table.query("attack == 'worst'").groupby("epsilon")["robust"].mean()
    found = checks(model, images, labels, outcome, name="hidden")
    assert flags <= verdicts(found, "fail")
    # What the suite could not break, an attack without gradients does.
    if worst.iloc[-1] > 0.3:
        assert verdicts(found, "fail") & {"black_box", "unbounded", "more_steps", "random_noise"}
    assert trustworthy(found.reset_index()).to_dict() == {"hidden": False}


def test_an_obfuscated_copy_looks_robust_and_only_the_black_box_check_sees_why(
    plain: Case, undefended: tuple[Outcome, pd.DataFrame]
) -> None:
    net, images, labels = plain
    copy = Obfuscated(net)
    with torch.no_grad():
        assert torch.equal(copy(images), net(images))
    outcome = attack(copy, images[:N], labels[:N], {"pgd": {"steps": 20}}, EPSILONS, SETUP, keep=8)
    robust = [
        found.table.query("attack == 'worst' and epsilon == @EPSILONS[-1]")["robust"].mean()
        for found in (undefended[0], outcome)
    ]
    assert robust[0] <= 0.05
    assert robust[1] >= 0.8
    found = checks(copy, images, labels, outcome)
    assert found.loc["black_box", "verdict"] == "fail"
    of_gradients = ["graph", "gradients", "gradient_values", "loss_stability"]
    assert found.loc[of_gradients, "verdict"].eq("pass").all()


def test_the_negative_control_fails_where_masked_gradients_would_not_be_noticed(
    plain: Case, undefended: tuple[Outcome, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, images, labels = plain
    outcome, found = undefended
    assert found.loc["negative_control", "verdict"] == "pass"
    # In the place of Square an attack that stays at the clean image: nothing shows that gradients mislead.
    monkeypatch.setattr(strength, "Square", lambda steps: PGD(steps=1, rel_stepsize=0.0, random_start=False))
    blind = checks(model, images, labels, outcome)
    assert blind.loc["black_box", "verdict"] == "pass", "only the control shows that the check is blind"
    assert blind.loc["negative_control", "verdict"] == "fail"
    assert blind.loc["negative_control", "figure"] > 0.5


def test_the_checks_are_of_linf(plain: Case, undefended: tuple[Outcome, pd.DataFrame]) -> None:
    with pytest.raises(UserError, match="checks: norm 'l2'"):
        checks(*plain, undefended[0], setup=replace(SETUP, norm="l2"))


def test_every_point_of_the_reference_has_its_checks(
    plain: Case, undefended: tuple[Outcome, pd.DataFrame]
) -> None:
    model, images, labels = plain
    outcome, _ = undefended
    scale = SCALE.model_copy(update={"samples": 4, "decision_samples": 1})
    found = checks(model, images, labels, outcome, scale=scale, undefended=True)
    assert set(found.index) == {
        "epsilon_zero", "perturbation_size", "image_range", "logits", "batch_independence", "monotone",
        "inferred", "unbounded", "beats_fgsm", "more_steps", "loss_flat", "black_box", "decision_based",
        "random_noise", "graph", "gradients", "gradient_values", "silent_success",
        "loss_stability", "positive_control", "negative_control", "worst_case", "sample_size",
    }  # fmt: skip
    assert found.index.is_unique


def test_images_outside_the_ball_or_the_range_are_found(
    plain: Case, undefended: tuple[Outcome, pd.DataFrame]
) -> None:
    model, images, labels = plain
    outcome, _ = undefended
    far = {epsilon: points + 0.02 for epsilon, points in outcome.adversarials.items()}
    found = checks(model, images, labels, Outcome(outcome.table, far))
    assert found.loc["perturbation_size", "verdict"] == "fail"
    assert found.loc["perturbation_size", "figure"] == pytest.approx(0.02, abs=0.005)
    outside = {epsilon: points * 0 - 0.5 for epsilon, points in outcome.adversarials.items()}
    assert (
        checks(model, images, labels, Outcome(outcome.table, outside)).loc["image_range", "verdict"] == "fail"
    )


def test_a_worst_case_that_hides_a_broken_sample_is_found(
    plain: Case, undefended: tuple[Outcome, pd.DataFrame]
) -> None:
    model, images, labels = plain
    outcome, _ = undefended
    table = outcome.table.copy()
    last = table.index[(table["attack"] == "worst") & (table["epsilon"] == EPSILONS[-1])]
    table.loc[last[:3], "robust"] = True
    found = checks(model, images, labels, Outcome(table, outcome.adversarials))
    assert found.loc["worst_case", "figure"] == 3
    assert found.loc["worst_case", "verdict"] == "fail"


def test_a_suite_too_weak_is_found(plain: Case) -> None:
    """Random noise alone leaves images robust that one step and more steps break."""
    model, images, labels = plain
    weak = attack(model, images[:N], labels[:N], {"random_noise": {"steps": 1}}, EPSILONS, SETUP, keep=8)
    found = checks(model, images, labels, weak)
    assert {"inferred", "beats_fgsm", "more_steps"} <= verdicts(found, "fail")


def test_a_model_whose_answers_hang_on_the_batch_is_found(plain: Case) -> None:
    class BatchMean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return net(x) + net(x).mean(0, keepdim=True)

    net, images, labels = plain
    model = BatchMean()
    found = checks(model, images, labels, evaluated(model, images, labels))
    assert found.loc["batch_independence", "verdict"] == "fail"


def test_noise_has_checks_of_its_own(plain: Case) -> None:
    model, images, labels = trained(width=4, noise=0.3)
    outcome = evaluated(model, images, labels)
    found = checks(model, images, labels, outcome)
    assert {"eot_flat", "frozen_noise", "noise_off", "score_interval"} <= set(found.index)
    assert found.loc["epsilon_zero", "verdict"] == "pass", "the same noise gives the same answers"
    # One EOT sample per gradient under much noise is too few, and more of them show it.
    noisy, images, labels = trained(width=4, noise=2.0)
    few = replace(SETUP, eot_samples=1)
    weak = attack(noisy, images[:N], labels[:N], {"pgd": {"steps": 2}}, EPSILONS, few, keep=8)
    found = checks(noisy, images, labels, weak, setup=few)
    assert verdicts(found, "fail") & {"eot_flat", "more_steps", "noise_off", "inferred"}


def test_without_an_image_classified_correctly_nothing_was_shown(plain: Case) -> None:
    model, images, _ = plain
    wrong = (model(images[:N]).argmax(1) + 1) % 10
    outcome = attack(model, images[:N], wrong.detach(), SUITE, EPSILONS, SETUP, keep=4)
    found = run(model, images[:N], wrong, outcome, SETUP, SCALE)
    assert found[["check", "verdict"]].to_numpy().tolist() == [["samples", "fail"]]


def test_figures_and_limits() -> None:
    assert [at_most("c", x, 0.1, "", fail_above=0.2).verdict for x in (0.1, 0.15, 0.3)] == [
        "pass",
        "warn",
        "fail",
    ]
    assert at_most("c", float("nan"), 0.1, "").verdict == "fail"
    assert at_most("c", 0.2, 0.1, "").verdict == "fail"
    assert warn_above("c", 9.0, 0.1, "").verdict == "warn"


def test_flatness_of_known_curves() -> None:
    flat = np.concatenate([np.linspace(0, 1, 11), np.ones(20)])[None]
    assert flatness(flat) == pytest.approx(0, abs=1e-9)
    # A line: the last five of ten steps lie five steps above the five before, of about 30 in all.
    line = np.linspace(0, 1, 31)[None]
    assert flatness(line) == pytest.approx(5 / 28, abs=1e-6)
    assert flatness(np.zeros((3, 31))) == 0


def test_usefulness_of_known_gradients() -> None:
    slopes = torch.ones(4, 1, 2, 2)
    slopes[0] = 0
    slopes[1, 0, 0, 0] = float("nan")
    slopes[2, 0, 0] = 0
    assert usefulness(slopes) == (0.5, 6 / 16)


def test_the_reference_budget_leaves_a_fifth_standing() -> None:
    rows = [("worst", e, i, i < s) for e, s in ((0.1, 9), (0.2, 3), (0.4, 1)) for i in range(10)]
    table = pd.DataFrame(rows, columns=["attack", "epsilon", "sample", "robust"])
    assert reference_epsilon(table) == 0.2
    assert reference_epsilon(table[table["epsilon"] == 0.4]) == 0.4
    with pytest.raises(ValueError, match="no worst case"):
        reference_epsilon(table.assign(epsilon=0.0))


def test_a_linear_model_passes_the_checks_of_its_gradient() -> None:
    model, images, labels = linear_case(count=8)
    outcome = attack(model, images, labels, {"pgd": {"steps": 5}}, [0.001, 0.01], SETUP, keep=4)
    found = checks(model, images, labels, outcome, scale=SCALE.model_copy(update={"samples": 8}))
    assert found.loc[["graph", "gradients", "gradient_values", "loss_stability"], "verdict"].eq("pass").all()
