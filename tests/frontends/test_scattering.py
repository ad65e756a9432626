"""The scattering transform against kymatio's coefficients and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from frontend_tools import images, tiny

from robustness import frontends
from robustness.frontends.blocks.wavelets import ANGLES, Scattering, morlet
from robustness.frontends.scattering_noise import STD


def test_coefficients_are_kymatios() -> None:
    """Golden values: kymatio 0.3.0, J = 2, L = 8, float32."""
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    image = torch.stack([(rows / 5).sin(), ((rows + columns) / 4).cos(), (columns / 3).sin()])[None]
    coefficients = Scattering()(image).double().view(1, 3, 81, 16, 16)
    assert coefficients[:, :, 0].square().sum().item() == pytest.approx(305.936311573, rel=1e-4)
    assert coefficients[:, :, 1:17].sum().item() == pytest.approx(545.329791248, rel=1e-4)
    assert coefficients[:, :, 17:].sum().item() == pytest.approx(95.330089634, rel=1e-4)
    some = coefficients[0, 1, [2, 12, 40], 5, 9]
    assert some.tolist() == pytest.approx([0.078291729, 0.082000799, 0.001764706], rel=2e-4)


@pytest.mark.parametrize("size", [64, 32, 30])
def test_every_coefficient_is_kymatios(size: int) -> None:
    kymatio = pytest.importorskip("kymatio.scattering2d.frontend.torch_frontend")
    image = images(2, size)
    expected = kymatio.ScatteringTorch2D(J=2, shape=(size, size), L=8)(image).flatten(1, 2)
    # kymatio's π has four decimals.
    torch.testing.assert_close(Scattering()(image), expected, atol=1e-4, rtol=1e-3)


def test_a_constant_image_has_a_low_pass_alone() -> None:
    coefficients = Scattering()(torch.full((1, 1, 64, 64), 0.7))
    assert torch.allclose(coefficients[:, 0], torch.tensor(0.7), atol=1e-5)
    assert coefficients[:, 1:].abs().max() < 1e-5


@pytest.mark.parametrize("angle", [0, 3, 5])
def test_a_grating_has_the_coefficient_of_the_wavelets_spectrum(angle: int) -> None:
    """|cos∗ψ| is |ψ̂|/2 at the grating's frequency, but for ψ's negative lobe; no other wavelet has more."""
    theta, frequency, scale = (ANGLES / 2 - 1 - angle) * math.pi / ANGLES, 0.375 * math.pi, 1
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    grating = (frequency * (rows * math.cos(theta) + columns * math.sin(theta))).cos()
    found = Scattering()(grating[None, None])[0, :, 4:12, 4:12].mean(dim=(1, 2))
    along = np.arange(64)
    along = np.where(along < 32, along, along - 64)
    wave = frequency * (along[:, None] * math.cos(theta) + along * math.sin(theta))
    gain = abs((morlet((64, 64), scale, angle) * np.exp(-1j * wave)).sum())
    channel = 1 + ANGLES * scale + angle
    assert found[channel].item() == pytest.approx(gain / 2, rel=0.02)
    assert found[1 : 1 + 2 * ANGLES].argmax().item() == channel - 1


def test_wavelets_have_mean_zero_and_the_stated_widths() -> None:
    """σ = 0.8·2^scale along the wave, L/4 times that across."""
    for scale in (0, 1):
        wavelet = morlet((96, 96), scale, ANGLES // 2 - 1)  # along the rows
        assert abs(wavelet.sum()) < 1e-12
        energy = np.abs(np.fft.fftshift(wavelet)) ** 2
        places = np.arange(-48, 48)
        rows, columns = (math.sqrt((energy.sum(axis=a) * places**2).sum() / energy.sum()) for a in (1, 0))
        assert columns == pytest.approx(1.6 * 2**scale / math.sqrt(2), rel=1e-3)
        # Taking out the mean broadens the wavelet along the wave.
        assert 1 < rows / (0.8 * 2**scale / math.sqrt(2)) < 1.2


def test_the_noise_is_gaussian_and_on_the_coefficients() -> None:
    image, plain, noisy = images(2), tiny("scattering"), tiny("scattering_noise")
    with frontends.noise(noisy, "off"):
        assert torch.allclose(noisy(image), plain(image))
    coefficients = plain.conv.block(image)
    torch.manual_seed(0)
    added = noisy.conv.noise(coefficients) - coefficients
    assert added.std().item() == pytest.approx(STD, rel=0.02)
    halves = added.flatten(1).chunk(2, dim=1)
    assert abs(torch.corrcoef(torch.cat(halves))[0, 1:].abs().max().item()) < 0.04


def test_no_part_of_it_is_trained() -> None:
    assert [key for key, _ in tiny("scattering").conv.named_parameters()] == ["bottleneck.weight"]
