"""Scores of attacks against answers found by hand."""

import numpy as np
import pandas as pd
import pytest
from score_tables import row, value

from robustness.scores import from_attacks
from robustness.scores.attacks import from_gradients, weighted_median


def attack(norm, epsilon, right, *, clean=None, distance=np.nan, noise="none") -> pd.DataFrame:
    n = len(right)
    clean = np.ones(n) if clean is None else np.array(clean, dtype=float)
    right = np.array(right, dtype=float)
    return pd.DataFrame(
        {
            "model": "net",
            "variant": "worst",
            "norm": norm,
            "epsilon": epsilon,
            "sample": np.arange(n),
            "object": [f"object{i}" for i in range(n)],
            "clean_right": clean,
            "right": right,
            "robust": (clean > 0.5) & (right > 0.5),
            "distance": distance,
            "noise": noise,
        }
    )


def test_robust_accuracy_and_the_clean_accuracy_of_the_same_images():
    clean = [1, 1, 1, 1, 0]
    table = pd.concat(
        [
            attack("linf", 2 / 255, [1, 1, 1, 0, 0], clean=clean),
            attack("linf", 4 / 255, [1, 0, 0, 0, 0], clean=clean),
            attack("linf", 8 / 255, [0, 0, 0, 0, 0], clean=clean),
        ]
    )
    scores = from_attacks(table)
    found = [value(scores, f"attack/worst_linf/eps_{epsilon}/robust_accuracy") for epsilon in (0, 2, 4, 8)]
    assert found == pytest.approx([0.8, 0.6, 0.2, 0])
    # Over log ε from 2 to 8: trapezoids of 0.4 and 0.1 on two octaves.
    assert value(scores, "attack/worst_linf/area") == pytest.approx((0.4 + 0.1) / 2)
    worst = row(scores, "attack/worst_linf/eps_8/robust_accuracy")
    assert worst["low"] == 0
    assert worst["high"] == pytest.approx(0.4345, abs=1e-4)  # Wilson, 0 of 5
    assert not scores["metric"].str.contains("majority").any()


def test_with_noise_the_expected_share_counts_and_the_vote_stands_beside_it():
    scores = from_attacks(attack("linf", 4 / 255, [0.75, 0.75, 0.25, 0], noise="live"))
    assert value(scores, "attack/worst_linf/eps_4/robust_accuracy") == pytest.approx(1.75 / 4)
    assert value(scores, "attack/worst_linf/eps_4/majority_accuracy") == pytest.approx(0.5)


def test_minimal_distances():
    clean = [1, 1, 1, 1, 0]
    table = pd.concat(
        [
            attack("l2", 0.5, [1, 1, 1, 0, 0], clean=clean, distance=[np.nan] * 3 + [0.5, 0]),
            attack("l2", np.inf, [0, 0, 0, 0, 0], clean=clean, distance=[0.2, 0.6, 1.5, 0.5, 0]),
        ]
    )
    assert value(from_attacks(table), "attack/worst_l2/median_distance") == pytest.approx(0.5)
    # Three of five stand at the only ε: the median lies beyond what was tried, so there is no value.
    few = from_attacks(attack("l2", 0.5, [1, 1, 1, 0, 0], clean=clean, distance=[np.nan] * 3 + [0.5, 0]))
    assert few[few["metric"] == "attack/worst_l2/median_distance"]["value"].isna().all()


def test_distances_of_linf_are_in_255ths():
    table = attack("linf", np.inf, [0, 0, 0], distance=[1 / 255, 2 / 255, 9 / 255])
    assert value(from_attacks(table), "attack/worst_linf/median_distance") == pytest.approx(2)


def test_gradients_by_noise():
    rows = [
        ("net", noise, "linf", str(place), scale * distance / 255, 0.5 * scale)
        for noise, scale in (("live", 1), ("off", 2))
        for place, distance in enumerate([0, 1, 3, np.inf, 2])
    ]
    scores = from_gradients(
        pd.DataFrame(rows, columns=["model", "noise", "norm", "object", "distance", "agreement"])
    )
    names = ("first_order_distance", "agreement")
    assert [value(scores, f"attack/gradient_linf/{name}") for name in names] == pytest.approx([2, 0.5])
    assert [value(scores, f"attack/gradient_off_linf/{name}") for name in names] == pytest.approx([4, 1])


def test_weighted_median_agrees_with_numpy():
    rng = np.random.default_rng(0)
    values = rng.random(15)
    weights = rng.multinomial(15, np.full(15, 1 / 15), size=50)
    medians = weighted_median(values, weights.astype(float))
    for draw, found in zip(weights, medians, strict=True):
        assert found == np.median(np.repeat(values, draw))  # odd: no average of two
