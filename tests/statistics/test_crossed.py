"""Means over models and objects: intervals that hold what varies, shown on simulated data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from robustness.statistics.bootstrap import resampling_weights
from robustness.statistics.crossed import crossed_mean

OBJECTS, RESAMPLES = 60, 200
WEIGHTS = np.concatenate(
    [np.ones((1, OBJECTS)), resampling_weights(OBJECTS, resamples=RESAMPLES)]
)  # of the data, then of the bootstrap


def simulated(generator: np.random.Generator, units: int, effect: float, spread: float) -> np.ndarray:
    """Draws (units, 1 + R) of paired differences of shares: of each model and object one of two answers,
    with what models, objects and their pairing add."""
    hard = generator.normal(0, 0.15, OBJECTS)
    own = generator.normal(0, spread, (units, 1))
    base = 0.5 + hard + generator.normal(0, 0.1, (units, OBJECTS))
    first = generator.random((units, OBJECTS)) < np.clip(base + effect + own, 0, 1)
    second = generator.random((units, OBJECTS)) < np.clip(base, 0, 1)
    return (first.astype(float) - second) @ WEIGHTS.T / WEIGHTS.sum(axis=1)


@pytest.mark.parametrize(("units", "spread"), [(3, 0.0), (3, 0.1), (14, 0.0), (14, 0.1)])
def test_intervals_cover_the_effect_as_often_as_they_say(units: int, spread: float) -> None:
    # 95 % is meant; where models do not differ, it is 97 to 99 %.
    generator = np.random.default_rng(0)
    means = [crossed_mean(simulated(generator, units, 0.1, spread), OBJECTS) for _ in range(400)]
    covered = np.mean([found.low <= 0.1 <= found.high for found in means])
    assert 0.92 <= covered <= 0.99


def test_without_an_effect_hardly_any_is_found_and_with_one_it_is() -> None:
    generator = np.random.default_rng(1)
    none, some = (
        [crossed_mean(simulated(generator, 14, effect, 0.03), OBJECTS).verdict for _ in range(300)]
        for effect in (0.0, 0.15)
    )
    assert np.mean([verdict in ("higher", "lower") for verdict in none]) <= 0.07
    assert np.mean([verdict == "higher" for verdict in some]) >= 0.95


def test_three_seeds_get_the_t_interval_of_their_means() -> None:
    """Where objects add nothing, it is Student's."""
    values = np.array([0.1, 0.2, 0.4])
    found = crossed_mean(np.repeat(values[:, None], 50, axis=1), OBJECTS)
    low, high = stats.t.interval(0.95, 2, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.verdict == "undecided"
    assert found.needed_objects == np.inf
    # As many seeds as make the half-width of such an interval as large as the mean.
    assert found.needed_units == np.ceil(
        np.var(values, ddof=1) * (stats.t.ppf(0.975, 2) / values.mean()) ** 2
    )


def test_one_model_varies_over_objects_alone() -> None:
    draws = simulated(np.random.default_rng(2), 1, 0.1, 0.0)
    found = crossed_mean(draws, OBJECTS)
    assert found.error == pytest.approx(draws[0, 1:].std(ddof=1))
    assert found.needed_units == np.inf


def test_small_for_certain_is_equivalent_and_not_undecided() -> None:
    draws = np.random.default_rng(3).normal(0.001, 0.004, (14, 101))
    assert crossed_mean(draws, OBJECTS).verdict == "equivalent"
    assert crossed_mean(10 * draws, OBJECTS).verdict != "equivalent"


def test_too_little_is_refused() -> None:
    for draws, objects in ((np.zeros((0, 10)), 5), (np.zeros((2, 2)), 5), (np.zeros((2, 10)), 1)):
        with pytest.raises(ValueError, match="need models × draws"):
            crossed_mean(draws, objects)
