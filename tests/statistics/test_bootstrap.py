"""The bootstrap over objects: known answers, determinism, and that its intervals hold what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustness.statistics.bootstrap import (
    interval_of_draws,
    interval_over_objects,
    percentiles,
    resampling_weights,
    sums_by_object,
)
from robustness.statistics.proportions import wilson


def test_weights_are_counts_of_a_draw_with_replacement():
    weights = resampling_weights(40, resamples=4000, seed=3)
    assert np.array_equal(weights, np.round(weights))
    assert (weights.sum(axis=1) == 40).all()
    assert weights.mean() == 1
    # A multinomial count of an object has variance 1 − 1/G.
    assert weights.var(axis=0).mean() == pytest.approx(1 - 1 / 40, rel=0.02)
    assert np.array_equal(weights, resampling_weights(40, resamples=4000, seed=3))
    assert not np.array_equal(weights, resampling_weights(40, resamples=4000, seed=4))


def test_sums_by_object():
    sums, counts, names = sums_by_object([1, 0, 1, 1], ["b", "a", "b", "c"])
    assert names.tolist() == ["a", "b", "c"]
    assert sums.tolist() == [0, 2, 1]
    assert counts.tolist() == [1, 2, 1]
    with pytest.raises(ValueError, match="missing"):
        sums_by_object([1, 0], ["a", None])


def test_one_sample_an_object_gives_the_textbook_interval():
    values = np.arange(200) % 4 == 0
    interval = interval_over_objects(values, np.arange(200), resamples=20000)
    half = 1.96 * np.sqrt(0.25 * 0.75 / 200)
    assert interval.value == 0.25
    assert interval.low == pytest.approx(0.25 - half, abs=0.006)
    assert interval.high == pytest.approx(0.25 + half, abs=0.006)
    assert interval.n == 200


def test_copies_of_a_sample_do_not_narrow_the_interval():
    values = np.arange(60) % 3 == 0
    once = interval_over_objects(values, np.arange(60))
    copied = interval_over_objects(np.repeat(values, 25), np.repeat(np.arange(60), 25))
    assert copied[1:] == pytest.approx(once[1:])


def test_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(0)
    values, objects = rng.integers(0, 2, 500), rng.integers(0, 30, 500)
    order = rng.permutation(500)
    assert interval_over_objects(values, objects, seed=5) == interval_over_objects(
        values[order], objects[order], seed=5
    )


def test_a_single_object_gives_no_interval():
    interval = interval_over_objects([1, 0, 1, 1], ["a"] * 4)
    assert interval.value == 0.75
    assert np.isnan([interval.low, interval.high]).all()


@pytest.mark.parametrize("right", [0, 1])
def test_a_proportion_at_its_end_does_not_claim_certainty(right):
    values, objects = np.full(80, right), np.arange(80) // 4
    plain = interval_over_objects(values, objects)
    assert plain.low == plain.high == right
    honest = interval_over_objects(values, objects, proportion=True)
    assert (honest.low, honest.high) == wilson(20 * right, 20)[1:3]
    assert honest.high - honest.low > 0.1


def test_percentiles_leave_out_nan_and_keep_infinity():
    draws = np.stack([np.r_[np.arange(99.0), np.nan], np.r_[np.arange(90.0), np.full(10, np.inf)]], axis=1)
    low, high = percentiles(draws)
    assert low[0] == 2
    assert high[0] == 96
    assert np.isfinite(low[1])
    assert high[1] == np.inf
    assert np.isnan(percentiles(np.full((5, 1), np.nan))).all()
    assert np.isnan(interval_of_draws(np.nan, np.full(5, np.nan), 3).low)


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60),
    st.integers(0, 2**31),
)
def test_interval_lies_within_the_objects(rows, seed):
    objects, values = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], dtype=float)
    interval = interval_over_objects(values, objects, resamples=50, seed=seed)
    means = [values[objects == name].mean() for name in np.unique(objects)]
    assert interval.value == pytest.approx(values.mean())
    assert interval.n == len(means)
    if len(means) > 1:
        assert min(means) - 1e-9 <= interval.low <= interval.high <= max(means) + 1e-9


def test_coverage_over_objects_and_the_fault_of_ignoring_them():
    """Objects differ in difficulty (beta 1, 1), twelve views each: 95 % cover the mean."""
    rng = np.random.default_rng(11)
    trials, objects, views = 400, 60, 12
    covered = naive = 0
    labels = np.repeat(np.arange(objects), views)
    for trial in range(trials):
        difficulty = rng.beta(1, 1, objects)
        values = rng.random((objects, views)) < difficulty[:, None]
        ours = interval_over_objects(values.ravel(), labels, resamples=300, seed=trial)
        plain = wilson(int(values.sum()), values.size)
        covered += ours.low <= 0.5 <= ours.high
        naive += plain.low <= 0.5 <= plain.high
    assert 0.91 <= covered / trials <= 0.98
    assert naive / trials < 0.75
