"""Wilson, Holm, Benjamini–Hochberg, max-T, Spearman and error consistency against known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from robustness.statistics.agreement import error_consistency, kappa
from robustness.statistics.correlation import correlate_ranks, spearman
from robustness.statistics.multiple import benjamini_hochberg, holm, max_statistic
from robustness.statistics.proportions import wilson


@pytest.mark.parametrize(("successes", "n"), [(8, 10), (0, 20), (20, 20), (1, 3), (500, 1000)])
def test_wilson_agrees_with_scipy(successes, n):
    interval = wilson(successes, n)
    theirs = stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert (interval.low, interval.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert interval.low <= interval.value <= interval.high


def test_wilson_without_data_and_with_wrong_data():
    assert wilson(0, 0)[1:3] == (0.0, 1.0)
    with pytest.raises(ValueError, match="3 successes out of 2"):
        wilson(3, 2)


def test_holm_and_benjamini_hochberg_by_hand():
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(p) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    with_gap = [0.01, np.nan, 0.04, 0.03, 0.005]
    assert holm(with_gap)[[0, 2, 3, 4]] == pytest.approx(holm(p))
    assert np.isnan(holm(with_gap)[1])
    with pytest.raises(ValueError, match="outside"):
        holm([1.2])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_corrections_keep_order_and_only_raise(p):
    p = np.array(p)
    order = np.argsort(p, kind="stable")
    strict, loose = holm(p), benjamini_hochberg(p)
    assert (loose >= p).all()
    assert (strict >= loose - 1e-12).all()
    assert (np.diff(strict[order]) >= 0).all()
    assert loose == pytest.approx(stats.false_discovery_control(p))


def test_max_statistic_keeps_the_family_wise_rate():
    rng = np.random.default_rng(1)
    rejections = 0
    for _ in range(300):
        permuted, observed = rng.normal(size=(199, 30)), rng.normal(size=30)
        rejections += (max_statistic(observed, permuted) <= 0.05).any()
    assert 0.02 <= rejections / 300 <= 0.09
    strong = max_statistic(np.array([9.0, 0.1, np.nan]), rng.normal(size=(199, 3)))
    assert strong[0] == 1 / 200
    assert strong[1] > 0.5
    assert np.isnan(strong[2])


def test_spearman_agrees_with_scipy():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 8, 25).astype(float)  # with ties
    y = x + rng.normal(0, 2.5, 25)
    ours, theirs = spearman(x, y), stats.spearmanr(x, y)
    assert ours.rho == pytest.approx(theirs.statistic)
    assert ours.p == pytest.approx(theirs.pvalue, abs=0.01)
    assert ours.low < ours.rho < ours.high
    assert spearman(x, np.exp(y / 5)).rho == pytest.approx(ours.rho)  # ranks only


def test_spearman_of_few_points_is_exact():
    result = spearman([1, 2, 3, 4], [10, 20, 30, 40])
    assert result.rho == 1
    assert result.p == 2 / 24  # only the order itself and its reverse
    assert np.isnan(spearman([1, 2], [1, 2]).rho)
    assert np.isnan(spearman([1, 1, 1, 1], [1, 2, 3, 4]).rho)
    assert spearman([1, 2, 3, np.nan], [3, 2, 1, 5]).n == 3


def test_spearman_interval_covers_the_true_rank_correlation():
    rng = np.random.default_rng(6)
    true = 6 / np.pi * np.arcsin(0.6 / 2)  # Spearman of a normal pair with correlation 0.6
    covered = 0
    for trial in range(150):
        x = rng.normal(size=40)
        y = 0.6 * x + 0.8 * rng.normal(size=40)
        result = spearman(x, y, resamples=300, permutation_count=10, seed=trial)
        covered += result.low <= true <= result.high
    assert 0.86 <= covered / 150 <= 0.99


def test_correlate_ranks_is_all_pairs():
    rng = np.random.default_rng(9)
    first, second = rng.normal(size=(3, 12)), rng.normal(size=(4, 12))
    table = correlate_ranks(first, second)
    for i in range(3):
        for j in range(4):
            assert table[i, j] == pytest.approx(stats.spearmanr(first[i], second[j]).statistic)


def test_kappa_known_answers():
    assert kappa(1.0, 0.7, 0.7) == pytest.approx(1.0)
    assert kappa(0.58, 0.7, 0.7) == pytest.approx(0.0)
    assert np.isnan(kappa(1.0, 1.0, 1.0))
    # 80 % right each, disjoint errors: c_obs 0.6, c_exp 0.68.
    a = np.r_[np.zeros(20), np.ones(80)]
    b = np.r_[np.ones(20), np.zeros(20), np.ones(60)]
    result = error_consistency(a, b, np.arange(100))
    assert result.kappa == pytest.approx((0.6 - 0.68) / 0.32)
    assert (result.observed, result.expected) == pytest.approx((0.6, 0.68))
    assert result.high < 0


def test_independent_errors_have_kappa_near_zero():
    rng = np.random.default_rng(5)
    a, b = rng.random(3000) < 0.7, rng.random(3000) < 0.6
    result = error_consistency(a, b, np.arange(3000) // 10)
    assert result.low < 0 < result.high
    assert error_consistency(a, a, np.arange(3000) // 10).kappa == 1
