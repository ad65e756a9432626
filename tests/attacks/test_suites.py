"""Suites: their rungs, the climb that ends where nothing more falls, variants, the expected share."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from digits_net import trained
from known_models import linear_case
from torch import Tensor, nn

from robustness.attacks import AttackSettings, Setup, attack
from robustness.attacks.best_adversarials import BestAdversarials
from robustness.attacks.suites import FAR, OF_NOISE, SUITES, Rung, ladder
from robustness.attacks.variants import WHOLE, beside
from robustness.errors import UserError
from robustness.statistics.proportions import at_least_exact, at_most_exact, mean_bounds

Case = tuple[nn.Module, Tensor, Tensor]


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("suite", SUITES)
def test_every_rung_is_of_known_attacks_and_no_weaker_than_the_one_before(suite: str, norm: str) -> None:
    rungs = ladder(suite, norm)
    assert rungs
    costs = [sum(s.get("steps", 1) * s.get("targets", 1) for s in rung.attacks.values()) for rung in rungs]
    draws = [rung.eot_samples or 1 for rung in rungs]
    assert costs == sorted(costs)
    assert draws == sorted(draws)
    for name in {name for rung in rungs for name in rung.attacks}:
        own = [(rung.attacks[name]["steps"], rung.eot_samples or 1) for rung in rungs if name in rung.attacks]
        assert all(one < next_ for one, next_ in pairwise(own)) or name == "apgd_targeted", (name, own)


@pytest.mark.parametrize("suite", ["standard", "stochastic"])
def test_fewer_than_four_classes_leave_targeted_attacks_out(suite: str) -> None:
    for few, many in zip(ladder(suite, "linf", classes=3), ladder(suite, "linf"), strict=True):
        assert "apgd_targeted" not in few.attacks
        assert few.attacks.keys() | {"apgd_targeted"} >= many.attacks.keys()
    model, images, labels = linear_case(classes=2)
    found = attack(model, images, labels, ladder("standard", "linf", 2, classes=2), [2.0], Setup()).table
    assert not found.loc[np.isfinite(found["epsilon"]) & (found["epsilon"] > 0), "robust"].any()


def test_the_standard_suite_has_the_four_attacks() -> None:
    for norm, minimum in (("linf", "fmn"), ("l2", "deepfool")):
        third = ladder("standard", norm)[2].attacks
        assert set(third) == {"apgd_ce", "apgd_targeted", minimum, "square"}
        assert third["apgd_targeted"]["targets"] == 9
    assert OF_NOISE == {"standard": "stochastic"}
    assert len(ladder("standard", "linf", 2)) == 2
    assert [rung.extra for rung in ladder("standard", "linf", 2, extra=1)] == [False, False, True]


@pytest.mark.parametrize(
    ("suite", "message"),
    [("standart", "did you mean standard"), ([{"pdg": {}}], "did you mean pgd"), ([{}], "names no attack")],
)
def test_an_unknown_suite_or_attack_is_refused(suite: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ladder(suite, "linf")


def test_the_climb_ends_where_a_rung_breaks_nothing(digits: Case) -> None:
    model, images, labels = digits
    weak, strong = (
        Rung({"fgsm": {}}),
        Rung({"apgd_ce": {"steps": 40}, "apgd_targeted": {"steps": 20, "targets": 9}}),
    )
    table = attack(model, images[:60], labels[:60], [weak, *[strong] * 6], [2 / 255], Setup()).table
    rows = table[table["epsilon"] == 2 / 255]
    last = int(rows["rungs"].iloc[0])
    assert 2 <= last < 7
    fell = [(rows["rung"] == rung).mean() for rung in range(1, last + 1)]
    assert np.isclose((rows["before"] - rows["right"]).mean(), fell[-1])
    assert fell[0] > 0
    assert fell[-1] < 0.01
    assert all(share >= 0.01 for share in fell[1:-1])
    assert (rows.loc[rows["rung"] > 0, "robust"] == False).all()  # noqa: E712
    assert rows.loc[(rows["rung"] == 0) & (rows["by"] != "clean"), "robust"].all()


def test_an_extra_rung_runs_only_where_the_one_before_broke_many(digits: Case) -> None:
    model, images, labels = digits
    few, many = 0.01 / 255, 2 / 255
    rungs = [Rung({"fgsm": {}}), Rung({"apgd_ce": {"steps": 40}, "square": {"steps": 5}}, extra=True)]
    outcome = attack(model, images[:60], labels[:60], rungs, [few, many], Setup())
    first = attack(model, images[:60], labels[:60], rungs[:1], [few, many], Setup()).table
    broke = first.groupby("epsilon")[["before", "right"]].mean().eval("before - right")
    assert broke[few] < FAR <= broke[many]
    last = outcome.table.groupby("epsilon")["rungs"].first()
    assert (last[few], last[many]) == (1, 2)
    ran = {epsilon: "square" in names for epsilon, names in outcome.attacks.items()}
    assert ran == {few: False, many: True}  # a check counts Square where it ran, and nowhere else


def test_the_rungs_of_an_epsilon_are_those_that_ran_at_it() -> None:
    """A minimum-norm attack of a later rung, which runs for the ε's that are not done, counts at no other."""
    best = BestAdversarials(np.ones(3), [0.1, 0.2], torch.zeros(0, 1, 2, 2))
    best.climbed(1, [0.1, 0.2])
    best.climbed(2, [0.1])
    broken, distance = np.zeros(3), np.array([0.05, 0.15, 0.5])
    best.add("fmn", 2, None, np.arange(3), broken, distance, np.zeros((0, 1, 2, 2), dtype=np.float32))
    best.right = best.share
    tables = [best.rows(level) for level in range(3)]
    assert [table["rungs"].unique().tolist() for table in tables] == [[2], [1], [2]]
    assert [int((~table["robust"]).sum()) for table in tables] == [1, 2, 3]


def test_a_perturbation_of_a_region_stays_there_and_reaches_as_far_as_its_weights() -> None:
    """Of a linear model the distance within a region is |margin| / ‖weights of the region‖₁."""
    model, images, labels = linear_case(classes=5)
    allowed = torch.zeros(len(images), 1, 6, 6, dtype=torch.bool)
    allowed[:, :, :, :2] = True
    limit = float(1 / model.weight.detach()[..., :2].abs().sum())
    suite = [Rung({"apgd_ce": {"steps": 30}, "fmn": {"steps": 20}})]
    epsilons = [0.98 * limit, 1.02 * limit]
    found = attack(
        model, images, labels, suite, epsilons, Setup(), keep=len(images), allowed=allowed, variant="object"
    )
    assert set(found.table["variant"]) == {"object"}
    robust = found.table[np.isfinite(found.table["epsilon"])].groupby("epsilon")["robust"].mean()
    assert robust.tolist() == [1.0, 0.0]
    changed = (found.adversarials[epsilons[1]] - images).abs().amax(1) > 1e-6
    assert changed[..., :2].any()
    assert not changed[..., 2:].any()


def test_a_patch_lies_beside_the_object_and_as_near_as_it_can() -> None:
    target = np.zeros((12, 12), dtype=bool)
    target[:, :5] = True
    square = beside(target, 4)
    rows, columns = np.nonzero(square)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 7, 5, 8)
    everywhere = beside(np.ones((6, 6), dtype=bool), 3)
    assert not everywhere.any()  # an object that fills the image leaves no pixel to change
    with pytest.raises(UserError, match="13 pixels are more"):
        beside(target, 13)


def test_with_noise_right_is_the_expected_share_under_noise_drawn_anew(noisy_digits: Case) -> None:
    model, images, labels = noisy_digits
    setup = Setup(eot_samples=4, eval_samples=32)
    found = attack(model, images[:40], labels[:40], {"pgd": {"steps": 10}}, [2 / 255], setup, keep=40)
    rows = found.table[found.table["epsilon"] == 2 / 255]
    with torch.no_grad():
        answers = torch.stack(
            [model(found.adversarials[2 / 255]).argmax(1) == labels[:40] for _ in range(200)]
        )
    expected = answers.float().mean(0).numpy()
    spread = np.sqrt(expected * (1 - expected) * (1 / 32 + 1 / 200)) + 0.02
    assert (np.abs(rows["right"].to_numpy() - expected) < 5 * spread).all()
    assert 0 < rows["right"].mean() < rows["clean_right"].mean()
    assert (rows["robust"] == ((rows["right"] > 0.5) & (rows["clean_right"] > 0.5))).all()


def test_with_noise_an_image_that_is_mostly_wrong_counts_by_its_strongest_example_too() -> None:
    model, images, labels = trained(width=4, noise=4.0)
    found = attack(
        model, images[:80], labels[:80], {"pgd": {"steps": 10}}, [8 / 255], Setup(eot_samples=4)
    ).table
    rows = found[(found["epsilon"] == 8 / 255) & (found["by"] == "clean") & (found["clean_right"] > 0.2)]
    assert len(rows) >= 5
    assert rows["right"].mean() < 0.5 * rows["clean_right"].mean()


def test_exact_bounds_of_known_counts() -> None:
    """None of 276 broken: at most 1.08 %; of 100: 2.95 %; one of 100: 4.66 %."""
    assert at_most_exact(0, 276) == pytest.approx(0.0108, abs=5e-5)
    assert at_most_exact(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100), rel=1e-9)
    assert at_most_exact(1, 100) == pytest.approx(0.0466, abs=5e-5)
    assert (at_most_exact(5, 5), at_least_exact(0, 5)) == (1.0, 0.0)
    assert at_least_exact(5, 5) == pytest.approx(0.05 ** (1 / 5))
    assert math.isclose(at_least_exact(3, 10), 1 - at_most_exact(7, 10))


def test_bounds_of_a_mean_are_students() -> None:
    """Of 1 to 5: 3 ± 2.132 · 1.581 / √5."""
    assert mean_bounds(np.arange(1.0, 6.0)) == pytest.approx((1.4926, 4.5074), abs=1e-4)


def test_a_trained_net_without_a_defence_falls_at_8_255() -> None:
    model, images, labels = trained(width=4)
    table = attack(model, images[:100], labels[:100], ladder("standard", "linf", 2), [8 / 255], Setup()).table
    assert not table.loc[table["epsilon"] == 8 / 255, "robust"].any()


def test_transfer_is_tried_where_the_models_own_attacks_leave_some() -> None:
    """The largest ε at which a fifth of all models' images stands; whole clean images, that norm."""
    settings = AttackSettings.read(
        {"images": 4, "batch_size": 4, "eot_samples": 1, "eval_samples": 1,
         "norms": {"linf": {"epsilons": [1, 2, 4], "suite": "quick"}}}
    )  # fmt: skip
    shares = {0.0: 0.9, 1 / 255: 0.6, 2 / 255: 0.25, 4 / 255: 0.1, float("inf"): 0.0}
    rows = [(WHOLE, "linf", epsilon, share) for epsilon, share in shares.items()]
    rows += [("object", "linf", 4 / 255, 1.0), (WHOLE, "l2", 4 / 255, 1.0)]
    table = pd.DataFrame(rows, columns=["variant", "norm", "epsilon", "right"])
    norm, epsilon, setup = settings.of_transfer(3, table)
    assert (norm, epsilon, setup.seed) == ("linf", 2 / 255, 3)
    assert f"{norm}/{epsilon:.6g}" == f"linf/{settings.budgets('linf')[1]:.6g}"


@pytest.mark.parametrize(("noisy_rungs", "lengths"), [(2, (3, 2)), (None, (3, 3))])
def test_a_model_with_noise_may_climb_less_far(noisy_rungs: int | None, lengths: tuple[int, int]) -> None:
    norm = {"epsilons": [1], "suite": "standard", "rungs": 3, "noisy_rungs": noisy_rungs}
    settings = AttackSettings.read(
        {"images": 4, "batch_size": 4, "eot_samples": 1, "eval_samples": 1, "norms": {"linf": norm}}
    )
    found = tuple(len(settings.ladder("linf", noisy=noisy, classes=10)) for noisy in (False, True))
    assert found == lengths


def test_with_noise_a_larger_budget_beside_it_does_not_spare_an_image_the_smaller_one() -> None:
    """What keeps a part of its right answers within the larger ε may lose some within the smaller one."""
    model, images, labels = trained(width=4, noise=2.0)
    setup, small = Setup(eval_samples=32), 1 / 255
    alone, beside = (
        attack(model, images[:60], labels[:60], {"apgd_ce": {"steps": 10}}, epsilons, setup).table
        for epsilons in ([small], [small, 1.3 * small])
    )
    right = [table.loc[table["epsilon"] == small, "right"].mean() for table in (alone, beside)]
    larger = beside.loc[beside["epsilon"] == 1.3 * small, "right"]
    assert (larger > 0.1).mean() > 0.5
    assert right[0] < alone["clean_right"].mean() - 0.1
    assert right[1] == pytest.approx(right[0], abs=0.01)
