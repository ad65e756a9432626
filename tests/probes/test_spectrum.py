"""Numbers read off spectra of waves whose frequency is known."""

from __future__ import annotations

import numpy as np
import pytest

from robustness.probes import spectrum
from tests.probes.conftest import gabor


def wave(fx: float, fy: float, size: int = 32) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return np.cos(2 * np.pi * (fx * x + fy * y))[None]


@pytest.mark.parametrize(
    ("frequency", "stride", "share"), [(0.25, 4, 1.0), (0.0625, 4, 0.0), (0.4375, 1, 0.0)]
)
def test_alias_energy_is_what_lies_above_the_limit(frequency: float, stride: int, share: float) -> None:
    amplitude = spectrum.filter_amplitude(wave(frequency, 0.0), size=32)
    assert spectrum.alias_energy(amplitude, stride)[0] == pytest.approx(share, abs=1e-9)


def test_band_share_splits_two_waves_by_their_energy() -> None:
    amplitude = spectrum.filter_amplitude(2 * wave(0.1875, 0) + wave(0.375, 0), size=32)
    assert spectrum.band_share(amplitude, 0.125, 0.25)[0] == pytest.approx(0.8)


@pytest.mark.parametrize("theta", [0.0, 0.6, 1.5, 2.8])
def test_preferred_wave_of_a_gabor(theta: float) -> None:
    amplitude = spectrum.filter_amplitude(gabor(15, theta, 0.2, 3.0).numpy()[None])
    frequency, orientation, selectivity = spectrum.preferred(amplitude)
    assert frequency[0] == pytest.approx(0.2, abs=0.02)
    assert abs((orientation[0] - theta + np.pi / 2) % np.pi - np.pi / 2) < np.radians(5)
    assert selectivity[0] > 0.5


def test_a_round_blob_has_no_orientation() -> None:
    frequency, orientation, selectivity = spectrum.preferred(
        spectrum.filter_amplitude(gabor(15, 0, 0.0, 2.0).numpy()[None])
    )
    assert frequency[0] == 0
    assert np.isnan(orientation[0])
    assert selectivity[0] == 0


def test_a_ring_is_not_selective() -> None:
    centre_surround = gabor(21, 0, 0.0, 1.5) - 0.25 * gabor(21, 0, 0.0, 3.0)
    _, _, selectivity = spectrum.preferred(spectrum.filter_amplitude(centre_surround.numpy()[None]))
    assert selectivity[0] < 0.05


def test_high_frequency_share_of_waves_and_of_nothing() -> None:
    fast, slow = wave(0.375, 0), wave(0.125, 0)
    images = np.stack([fast.repeat(3, 0), slow.repeat(3, 0), np.ones((3, 32, 32))])
    share = spectrum.high_frequency_share(images)
    assert share[:2] == pytest.approx([1, 0], abs=1e-9)
    assert np.isnan(share[2])
