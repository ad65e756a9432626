"""Paired differences, sign flips and McNemar against known answers."""

import numpy as np
import pytest
from scipy import stats

from robustness.statistics.bootstrap import interval_over_objects
from robustness.statistics.paired import mcnemar, paired_difference, sign_flip_p, verdict


def test_verdict():
    assert verdict(0.01, 0.2) == "higher"
    assert verdict(-0.2, -0.01) == "lower"
    assert verdict(-0.1, 0.1) == verdict(0.0, 0.1) == verdict(np.nan, np.nan) == "undecided"


@pytest.mark.parametrize(
    ("differences", "p"),
    [([1, 1, 1, 1], 2 / 16), ([1, -1], 1.0), ([0, 0], 1.0), ([], 1.0), ([3, 1, -1, 0], 6 / 8)],
)
def test_exact_sign_flips(differences, p):
    # ±3 ±1 ±1 reaches 3 in six of its eight patterns: 5, 3, 3 and their negatives.

    assert sign_flip_p(np.array(differences)) == p


def test_random_sign_flips_agree_with_scipy():
    differences = np.random.default_rng(2).normal(0.35, 1, 30)
    ours = sign_flip_p(differences, resamples=20000)
    theirs = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=20000, rng=1
    ).pvalue
    assert ours == pytest.approx(theirs, abs=0.012)
    assert sign_flip_p(np.ones(40), resamples=999) == 1 / 1000


def test_pairing_finds_a_difference_that_separate_intervals_do_not():
    rng = np.random.default_rng(4)
    hard = np.repeat(rng.random(80), 5)  # shared difficulty of the samples of an object
    objects = np.repeat(np.arange(80), 5)
    draw = rng.random(400)
    a, b = draw < hard, draw < hard - 0.06
    difference = paired_difference(a, b, objects)
    assert difference.difference == pytest.approx(a.mean() - b.mean())
    assert difference.verdict == "higher"
    assert difference.p < 0.01
    assert paired_difference(b, a, objects).verdict == "lower"
    assert interval_over_objects(a, objects).low < interval_over_objects(b, objects).high


def test_equal_models_are_undecided():
    same = np.arange(40) % 2
    result = paired_difference(same, same, np.arange(40))
    assert result == (0.0, 0.0, 0.0, 1.0, 40, "undecided")
    with pytest.raises(ValueError, match="same samples"):
        paired_difference(same, same[:-1], np.arange(40))


def test_false_alarms_are_rare():
    """Two models of equal quality differ at random: at most about five in a hundred verdicts are wrong."""
    rng = np.random.default_rng(8)
    objects = np.repeat(np.arange(50), 4)
    wrong = rejected = 0
    for trial in range(300):
        quality = np.repeat(rng.random(50), 4)
        a, b = rng.random(200) < quality, rng.random(200) < quality
        result = paired_difference(a, b, objects, resamples=300, seed=trial)
        wrong += result.verdict != "undecided"
        rejected += result.p <= 0.05
    assert wrong / 300 <= 0.09
    assert rejected / 300 <= 0.08


def test_mcnemar_exact():
    a = np.r_[np.ones(10), np.zeros(2), np.ones(30)].astype(bool)
    b = np.r_[np.zeros(10), np.ones(2), np.ones(30)].astype(bool)
    result = mcnemar(a, b)
    assert (result.only_a, result.only_b) == (10, 2)
    assert result.p == pytest.approx(stats.binomtest(2, 12).pvalue)
    assert mcnemar(b, a).p == result.p
    assert mcnemar(a, a).p == 1.0
