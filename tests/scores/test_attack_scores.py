"""Scores of attacks against answers found by hand."""

import numpy as np
import pandas as pd
import pytest
from score_tables import row, value

from robustness.scores import from_attacks
from robustness.scores.attacks import weighted_median


def attack(name, norm, epsilon, robust, *, clean=None, distance=np.nan, model="net") -> pd.DataFrame:
    n = len(robust)
    return pd.DataFrame(
        {
            "model": model,
            "attack": name,
            "norm": norm,
            "epsilon": epsilon,
            "sample": np.arange(n),
            "object": [f"object{i}" for i in range(n)],
            "label": 0,
            "clean_correct": np.ones(n, dtype=bool) if clean is None else np.array(clean, dtype=bool),
            "robust": np.array(robust, dtype=bool),
            "distance": distance,
            "eval_samples": 1,
        }
    )


def test_robust_accuracy_and_the_worst_of_several_attacks():
    clean = [1, 1, 1, 1, 0]
    table = pd.concat(
        [
            attack("pgd", "linf", 4 / 255, [1, 1, 0, 0, 0], clean=clean),
            attack("square", "linf", 4 / 255, [1, 0, 1, 1, 1], clean=clean),  # the last was wrong already
            attack("pgd", "linf", 8 / 255, [0, 0, 0, 0, 0], clean=clean),
            attack("worst", "linf", 4 / 255, [1, 1, 1, 1, 1], clean=clean),  # weaker than the others together
        ]
    )
    scores = from_attacks(table)
    assert value(scores, "attack/pgd_linf/eps_4/robust_accuracy") == pytest.approx(0.4)
    assert value(scores, "attack/square_linf/eps_4/robust_accuracy") == pytest.approx(0.6)
    assert value(scores, "attack/worst_linf/eps_4/robust_accuracy") == pytest.approx(0.2)
    assert value(scores, "attack/worst_linf/eps_8/robust_accuracy") == 0
    # Clean 0.8 at 0, 0.2 at 4, 0 at 8.
    assert value(scores, "attack/worst_linf/area") == pytest.approx((0.5 * 4 + 0.1 * 4) / 8)
    worst = row(scores, "attack/worst_linf/eps_8/robust_accuracy")
    assert worst["low"] == 0
    assert worst["high"] == pytest.approx(0.4345, abs=1e-4)  # Wilson, 0 of 5


def test_the_worst_case_knows_the_suites_account_and_the_smaller_balls():
    table = pd.concat(
        [
            attack("pgd", "linf", 2 / 255, [1, 1, 1, 0]),
            attack("pgd", "linf", 4 / 255, [1, 0, 1, 1]),  # missed what it found at 2
            attack("worst", "linf", 4 / 255, [0, 0, 1, 0]),
        ]
    )
    scores = from_attacks(table)
    assert value(scores, "attack/pgd_linf/eps_4/robust_accuracy") == pytest.approx(0.75)
    assert value(scores, "attack/worst_linf/eps_2/robust_accuracy") == pytest.approx(0.75)
    assert value(scores, "attack/worst_linf/eps_4/robust_accuracy") == pytest.approx(0.25)
    assert not scores.duplicated("metric").any()


def test_the_worst_case_counts_only_samples_that_all_attacks_saw():
    few = attack("square", "l2", 0.5, [1, 1])
    scores = from_attacks(pd.concat([attack("pgd", "l2", 0.5, [1, 0, 1, 1]), few]))
    worst = row(scores, "attack/worst_l2/eps_0.5/robust_accuracy")
    assert worst["value"] == pytest.approx(0.5)
    assert worst["n"] == 2


def test_minimal_distances():
    distance = [0.2, 0.6, 1.5, np.nan, 0.1]
    clean = [1, 1, 1, 1, 0]
    table = pd.concat(
        [
            attack("pgd", "l2", 0.5, [1, 1, 1, 0, 0], clean=clean, distance=[np.nan] * 3 + [0.5, 0.5]),
            attack("deepfool", "l2", np.inf, [0, 0, 0, 1, 0], clean=clean, distance=distance),
        ]
    )
    scores = from_attacks(table)
    # deepfool: 0 (wrong already), 0.2, 0.6, 1.5, never.
    assert value(scores, "attack/deepfool_l2/median_distance") == pytest.approx(0.6)
    assert value(scores, "attack/deepfool_l2/eps_0.5/robust_accuracy") == pytest.approx(0.6)
    assert value(scores, "attack/worst_l2/eps_0.5/robust_accuracy") == pytest.approx(0.4)
    # Together: 0, 0.2, 0.5, 0.6, 1.5.
    assert value(scores, "attack/worst_l2/median_distance") == pytest.approx(0.5)
    # PGD breaks two of five: its median lies beyond what was tried, so there is no value.
    assert not (scores[scores["metric"] == "attack/pgd_l2/median_distance"]["value"].notna().any())


def test_distances_of_linf_are_in_255ths():
    table = attack("fmn", "linf", np.nan, [0, 0, 0], distance=[1 / 255, 2 / 255, 9 / 255])
    assert value(from_attacks(table), "attack/fmn_linf/median_distance") == pytest.approx(2)


def test_weighted_median_agrees_with_numpy():
    rng = np.random.default_rng(0)
    values = rng.random(15)
    weights = rng.multinomial(15, np.full(15, 1 / 15), size=50)
    medians = weighted_median(values, weights.astype(float))
    for draw, found in zip(weights, medians, strict=True):
        assert found == np.median(np.repeat(values, draw))  # odd: no average of two
