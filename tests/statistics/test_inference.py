"""Wilson, Holm, Benjamini–Hochberg and max-T against known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from robustness.statistics.multiple import benjamini_hochberg, holm, max_statistic
from robustness.statistics.proportions import wilson


@pytest.mark.parametrize(("successes", "n"), [(8, 10), (0, 20), (20, 20), (1, 3), (500, 1000)])
def test_wilson_bounds_solve_the_score_equation(successes, n):
    interval = wilson(successes, n)
    assert interval.low <= interval.value <= interval.high
    for bound in (interval.low, interval.high):
        spread = stats.norm.ppf(0.975) * np.sqrt(bound * (1 - bound) / n)
        assert bound in (0, 1) or abs(successes / n - bound) == pytest.approx(spread)


def test_wilson_without_data_and_with_wrong_data():
    assert wilson(0, 0)[1:3] == (0.0, 1.0)
    with pytest.raises(ValueError, match="must not be greater than n"):
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
