"""Sampled Gabor parameters against the published tables: 10,000 draws, every test at the level 0.001."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from robustness.errors import UserError
from robustness.frontends.blocks import gabor_filters as gabor
from robustness.frontends.blocks.gabor_filters import FREQUENCY_EDGES, WIDTH_EDGES, WIDTH_JOINT
from robustness.seeds import numpy_generator

DRAWS = 10_000
LEVEL = 0.001


@pytest.fixture(scope="module")
def cells() -> gabor.GaborParameters:
    return gabor.sample(DRAWS, numpy_generator(3, "test"))


@pytest.fixture(scope="module")
def uniform_cells() -> gabor.GaborParameters:
    return gabor.sample(DRAWS, numpy_generator(3, "test"), uniform=True)


def chi_square(values: np.ndarray, edges: np.ndarray, weights: np.ndarray) -> float:
    """p-value of the counts in the bins against the weights; a bin without weight must be empty."""
    counts, _ = np.histogram(values, edges)
    assert counts.sum() == len(values), "draws outside the table"
    weights = np.asarray(weights, dtype=float)
    assert (counts[weights == 0] == 0).all()
    used = weights > 0
    return stats.chisquare(counts[used], len(values) * weights[used] / weights.sum()).pvalue


def signed(orientation: np.ndarray) -> np.ndarray:
    return np.where(orientation >= 157.5, orientation - 180, orientation)


def test_orientation_follows_the_table(cells):
    assert cells.orientation.min() >= 0
    assert cells.orientation.max() < 180
    edges = np.array([-22.5, 22.5, 67.5, 112.5, 157.5])
    assert chi_square(signed(cells.orientation), edges, [66, 49, 77, 54]) > LEVEL


def test_phase_is_uniform(cells):
    assert stats.kstest(cells.phase, stats.uniform(0, 360).cdf).pvalue > LEVEL


def test_frequency_follows_the_table(cells):
    weights = [4, 4, 8, 25, 32, 26, 28, 12]
    assert chi_square(cells.frequency, np.array([0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6, 8]), weights) > LEVEL


def test_widths_follow_the_joint_table(cells):
    edges = np.logspace(-1, 0.2, 6)
    joint = np.array([[2, 0, 1, 0, 0], [8, 9, 4, 1, 0], [1, 2, 19, 17, 3], [0, 0, 1, 7, 4], [0, 0, 0, 0, 0]])
    assert chi_square(cells.nx, edges, joint.sum(1)) > LEVEL
    assert chi_square(cells.ny, edges, joint.sum(0)) > LEVEL
    counts = np.histogram2d(cells.nx, cells.ny, [edges, edges])[0]
    assert (counts[joint == 0] == 0).all()
    expected = DRAWS * joint / joint.sum()
    assert stats.chisquare(counts[joint > 0], expected[joint > 0]).pvalue > LEVEL


def test_draws_are_even_inside_a_bin_on_its_axis(cells):
    for values, low, high in (
        (np.log2(cells.frequency), np.log2(2.0), np.log2(2.8)),
        (np.log10(cells.nx), np.log10(WIDTH_EDGES[2]), np.log10(WIDTH_EDGES[3])),
        (signed(cells.orientation), 67.5, 112.5),
    ):
        inside = values[(values >= low) & (values < high)]
        assert len(inside) > 1000
        assert stats.kstest(inside, stats.uniform(low, high - low).cdf).pvalue > LEVEL


def test_frequency_and_nx_have_the_rank_correlation_of_a_bivariate_normal(cells):
    expected = 6 / np.pi * np.arcsin(0.75 / 2)
    measured = stats.spearmanr(cells.frequency, cells.nx).statistic
    # Fisher's z with the spread of a rank correlation; 3.29 is the two-sided 0.001 point.
    spread = 1.06 / np.sqrt(DRAWS - 3)
    assert abs(np.arctanh(measured) - np.arctanh(expected)) < 3.29 * spread


def test_other_parameters_are_independent_of_each_other(cells):
    for first, second in (("orientation", "frequency"), ("phase", "frequency"), ("orientation", "nx")):
        p = stats.spearmanr(getattr(cells, first), getattr(cells, second)).pvalue
        assert p > LEVEL, (first, second)


def test_every_channel_is_read_equally_often(cells):
    assert stats.chisquare(np.bincount(cells.colour, minlength=3)).pvalue > LEVEL


def test_uniform_control_has_the_same_ranges_and_no_coupling(uniform_cells):
    for values, low, high in (
        (uniform_cells.orientation, 0, 180),
        (uniform_cells.phase, 0, 360),
        (np.log2(uniform_cells.frequency), np.log2(0.5), np.log2(8)),
        (np.log10(uniform_cells.nx), -1, 0.2),
        (np.log10(uniform_cells.ny), -1, 0.2),
    ):
        assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > LEVEL
    assert stats.spearmanr(uniform_cells.frequency, uniform_cells.nx).pvalue > LEVEL


def test_frequency_range_keeps_whole_bins():
    cells = gabor.sample(DRAWS, numpy_generator(3, "test"), sf_min=1.0, sf_max=4.5)
    assert chi_square(cells.frequency, FREQUENCY_EDGES[2:7], [8, 25, 32, 26]) > LEVEL
    with pytest.raises(UserError, match="no bin of the frequency table"):
        gabor.sample(5, numpy_generator(3, "test"), sf_min=4.1, sf_max=5.5)


def test_published_tables_have_their_totals():
    assert WIDTH_JOINT.sum() == 79
    assert gabor.FREQUENCY_WEIGHTS.sum() == 139
    assert gabor.ORIENTATION_WEIGHTS.sum() == 246
