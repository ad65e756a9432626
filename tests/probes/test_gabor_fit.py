"""The fit finds planted Gabor functions, and finds little in noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from robustness.probes import gabor_fit
from tests.probes.conftest import gabor

THETAS = (0.0, 0.4, 1.2, 2.3)


@pytest.mark.parametrize(("size", "frequency"), [(7, 0.25), (11, 0.12), (11, 0.3), (21, 0.08)])
def test_planted_parameters_are_recovered(size: int, frequency: float) -> None:
    bank = torch.stack([gabor(size, theta, frequency, size / 6, phase=0.7) for theta in THETAS]).numpy()
    fit = gabor_fit.fit(bank)
    assert fit.r2.min() > 0.999
    assert fit.adjusted_r2.min() > 0.999
    apart = np.abs((fit.parameters[:, 2] - THETAS + np.pi / 2) % np.pi - np.pi / 2)
    assert np.degrees(apart).max() < 1
    assert np.abs(fit.parameters[:, 3] - frequency).max() < 0.005
    np.testing.assert_allclose(np.exp(fit.parameters[:, 4:6]), size / 6, rtol=0.02)
    np.testing.assert_allclose(fit.fitted, bank, atol=0.02)


def test_amplitude_is_that_of_the_filter() -> None:
    bank = 250 * gabor(11, 0.3, 0.2, 2.0).numpy()[None]
    a, b = gabor_fit.fit(bank).parameters[0, 6:8]
    assert np.hypot(a, b) == pytest.approx(250, rel=0.01)


def test_noise_is_not_explained_in_a_large_filter_but_is_in_a_small_one() -> None:
    assert gabor_fit.random_filter_r2(15) < 0.2
    assert gabor_fit.random_filter_r2(3) > 0.8


def test_adjusted_r2_does_not_exist_for_nine_pixels() -> None:
    fit = gabor_fit.fit(np.random.default_rng(0).standard_normal((2, 3, 3)))
    assert np.isnan(fit.adjusted_r2).all()
    assert np.isfinite(fit.r2).all()


def test_a_constant_filter_has_no_r2() -> None:
    bank = np.stack([np.full((7, 7), 0.5), gabor(7, 0.1, 0.2, 1.5).numpy()])
    r2 = gabor_fit.fit(bank).r2
    assert np.isnan(r2[0])
    assert r2[1] > 0.999
