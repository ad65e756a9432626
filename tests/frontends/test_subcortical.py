"""Retina and LGN, and V1 behind them, against the published tuning, noise and tables (Piper et al. 2025).

The tuning curves were worked out from the published parameters by another implementation, in NumPy.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from frontend_tools import SMALL, TinyNet, images, tiny
from torch import nn
from torch.nn import functional

from robustness import frontends
from robustness.errors import UserError
from robustness.frontends import FrontendOptions, draws, noise, sample_noise
from robustness.frontends.blocks.blur import blur, integral
from robustness.frontends.blocks.noise import NextNoise, Noise, NoiseControl
from robustness.frontends.blocks.subcortical import Subcortical

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)
CONTRASTS = {"midget": 0.75, "parasol": 0.3}
BEST = {"midget": 1.848, "parasol": 1.158}

FREQUENCY = {
    "midget": [4.568, 4.589, 4.641, 4.765, 5.025, 5.378, 5.460, 5.708, 5.519, 4.488, 2.508, 0.460],
    "parasol": [3.301, 3.334, 3.413, 3.583, 3.806, 3.974, 3.981, 3.693, 3.072, 1.740, 0.296, 0.004],
}
"""At logspace(.07, 12, 12) cycles per degree, radius 1°."""
SIZE = {
    "midget": [0, 3.740, 6.855, 7.983, 7.362, 6.634, 5.978, 5.677, 5.670, 5.714, 5.673, 5.688],
    "parasol": [0, 1.424, 3.355, 5.486, 6.096, 5.572, 4.942, 4.332, 3.821, 3.788, 3.816, 3.747],
}
"""At radii of logspace(.02, 6, 12) degrees, the best frequency."""
CONTRAST = {
    "midget": [0.121, 0.183, 0.277, 0.416, 0.624, 0.928, 1.367, 1.984, 2.822, 3.908, 5.233, 6.735],
    "parasol": [0.235, 0.351, 0.520, 0.761, 1.098, 1.549, 2.128, 2.832, 3.641, 4.519, 5.432, 6.349],
}
"""At contrasts of logspace(.01, 1, 12), full field, the best frequency."""


def modulation(frequency: float, radius: float, contrast: float) -> dict[str, list[float]]:
    """First harmonic, over eight phases of a grating, of the rectified cell in the middle of 7°."""
    axis = torch.linspace(-112, 112, 224) / 32
    phase = torch.arange(8) * (2 * math.pi / 8)
    wave = torch.sin(2 * math.pi * frequency * axis[:, None] + phase[:, None, None]).expand(-1, -1, 224)
    light = 0.5 + 0.5 * contrast * wave * (torch.hypot(axis[:, None], axis) <= radius)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    with torch.no_grad():
        cells = Subcortical(MEAN, STD, 32.0).respond((light[:, None] - mean) / std)
    harmonic = torch.fft.fft(cells[:, :, 112, 112].relu(), dim=0)[1].abs().tolist()
    return {"midget": harmonic[:3], "parasol": harmonic[3:]}


@pytest.mark.parametrize("kind", ["midget", "parasol"])
@pytest.mark.parametrize("index", range(1, 12, 2))
def test_cells_are_tuned_as_published(kind: str, index: int) -> None:
    curves = [
        (FREQUENCY, (np.geomspace(0.07, 12, 12)[index], 1, CONTRASTS[kind])),
        (SIZE, (BEST[kind], np.geomspace(0.02, 6, 12)[index], CONTRASTS[kind])),
        (CONTRAST, (BEST[kind], 10, np.geomspace(0.01, 1, 12)[index])),
    ]
    for expected, grating in curves:
        for response in modulation(*grating)[kind]:
            # The best frequencies are known to three decimals.
            assert response == pytest.approx(expected[kind][index], rel=3e-3, abs=1.5e-3)


def test_surrounds_are_as_strong_as_published() -> None:
    """Surround over centre, integrated over the kernel."""
    for centre, surround, depth, reach, expected in (
        (1.494801, 7.1528, -0.01189463, 9, -0.241),
        (2.420390, 17.091879, -0.00375061, 21, -0.160),
    ):
        found = depth * integral(surround, reach) / integral(centre, reach)
        assert found == pytest.approx(expected, abs=6e-4)


def test_midget_cells_are_opponent_in_colour() -> None:
    """A red light excites R/G and inhibits G/R; it inhibits neither B/Y alone nor excites it."""
    light = torch.full((2, 3, 64, 64), 0.3)
    light[0, 0, 28:36, 28:36] += 0.2  # a red spot
    light[1, 2, 28:36, 28:36] += 0.2  # a blue one
    block = Subcortical((0.0,) * 3, (1.0,) * 3, 32.0)
    far, (red, blue) = block.respond(light)[:, :, 0, 0], block.respond(light)[:, :, 31, 31]
    assert red[0] > far[0, 0]
    assert red[1] < far[0, 1]
    assert red[2] < far[0, 2]
    assert blue[2] > far[1, 2]
    assert (blue[:2] - far[1, :2]).abs().max() < 0.05


def test_light_adaptation_takes_out_the_level_of_light() -> None:
    light = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    block = Subcortical((0.0,) * 3, (1.0,) * 3, 32.0)
    torch.testing.assert_close(block.respond(light), block.respond(0.1 * light), rtol=2e-3, atol=1e-3)
    assert block.respond(torch.full((1, 3, 64, 64), 0.4)).abs().max() < 1e-3


def test_blur_is_a_convolution_with_reflected_borders() -> None:
    image, places = images(1, 20), torch.arange(-7.0, 8.0)
    line = torch.exp(-((places / 3.0) ** 2))
    kernel = torch.outer(line, line)[None, None].expand(3, 1, 15, 15)
    padded = functional.pad(image, (7,) * 4, mode="reflect")
    expected = functional.conv2d(padded, kernel, groups=3)
    torch.testing.assert_close(blur(image, 3.0, 7), expected, rtol=1e-4, atol=1e-4)
    assert integral(3.0, 7) == pytest.approx(kernel[0].sum().item(), rel=1e-6)


def test_the_blurred_control_keeps_the_mean_and_the_low_frequencies() -> None:
    network, learned = tiny("blurred"), tiny("learned")
    assert torch.allclose(network.conv[0](torch.full((1, 3, 32, 32), 0.7)), torch.tensor(0.7), atol=1e-5)
    rows = torch.arange(32.0)
    for period in (4.0, 8.0):
        wave = torch.cos(2 * math.pi * rows / period)[:, None].expand(1, 3, 32, 32)
        # The transfer function of exp(−x²/r²).
        factor = math.exp(-((math.pi * 1.494801 / period) ** 2))
        middle = network.conv[0](wave)[0, 0, 8:24, 16] / wave[0, 0, 8:24, 16]
        peaks = wave[0, 0, 8:24, 16].abs() > 0.9
        assert torch.allclose(middle[peaks], torch.tensor(factor), atol=2e-3)
    image = images(2)
    assert torch.equal(network.conv(image), learned.conv(network.conv[0](image)))


def test_the_noise_has_the_published_fano_factors() -> None:
    front_end = tiny("evnet").conv
    for module, fano, floor in (
        (front_end.subcortical.noise, 0.4, 0.4e-5),
        (front_end.block.noise, 0.93, 1e-5),
    ):
        for level in (0.0, 0.7, 5.0):
            values = module(torch.full((4, 10, 50, 50), level))
            expected = fano * level + floor
            assert values.var().item() == pytest.approx(expected, rel=0.08 if not level else 0.02)
            assert values.mean().item() == pytest.approx(level, abs=4 * (expected / 1e5) ** 0.5)
    values = front_end.subcortical.noise(torch.full((4, 10, 50, 50), -3.0))
    assert values.var().item() == pytest.approx(0.4 * 3, rel=0.02)


@pytest.mark.parametrize("mode", ["live", "frozen", "sample"])
def test_gradient_of_noise_that_grows_with_the_response(mode: str) -> None:
    module = Noise("fano", fano=0.4, rectify=False)
    module.control = NoiseControl(mode=mode, seed=4, sample_seeds=(1, 2), draws=3)
    clean = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).mul_(3).requires_grad_()
    weights = torch.randn(6, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    noisy = module(clean)
    (noisy * weights).sum().backward()
    spread = (0.4 * (clean.detach().abs() + 1e-5)).sqrt()
    for_clean = torch.zeros_like(spread)
    for part, weight in zip(noisy.detach().split(2), weights.split(2), strict=True):
        z = (part - clean.detach()) / spread
        for_clean += weight * (1 + z * 0.2 * clean.detach().sign() / spread)
    torch.testing.assert_close(clean.grad, for_clean, rtol=1e-3, atol=1e-3)


def test_noise_behind_noise_has_draws_and_numbers_of_its_own() -> None:
    both = nn.Sequential(Noise("gaussian", rectify=False), NextNoise("gaussian", rectify=False))
    flat = torch.zeros(3, 8, 30, 30)
    contexts = {
        "live": noise(both, "live"),
        "frozen": noise(both, "frozen"),
        "sample": sample_noise(both, [1, 2, 3]),
    }
    for mode, context in contexts.items():
        with context, draws(both, 4):
            first = both[0](flat)
            added = (both[1](first) - first).view(4, 3, -1)
            assert both(flat).shape == (12, 8, 30, 30)
        assert added.std().item() == pytest.approx(1, rel=0.02), mode
        for other in range(1, 4):
            assert abs(torch.corrcoef(added[[0, other], 0])[0, 1].item()) < 0.06, mode
        assert abs(torch.corrcoef(torch.stack([added[0, 0], first[0].flatten()]))[0, 1].item()) < 0.06, mode
        if mode == "frozen":
            assert torch.allclose(added[:, 0], added[:, 1], atol=1e-5)
        else:
            assert abs(torch.corrcoef(added[0, :2])[0, 1].item()) < 0.06, mode


def test_draws_of_evnet_equal_a_loop_over_the_seeds() -> None:
    network, image = tiny("evnet"), images(3)
    with draws(network, 3), noise(network, "frozen", seed=10):
        together = network(image).view(3, 3, -1)
    for draw in range(3):
        with noise(network, "frozen", seed=10 + draw):
            assert torch.allclose(together[draw], network(image), rtol=1e-4, atol=1e-4)
    with draws(network, 3), sample_noise(network, [1, 2, 3]):
        of_samples = network(image).view(3, 3, -1)
    with draws(network, 2), sample_noise(network, [2]):
        alone = network(image[1:2]).view(2, 1, -1)
    assert torch.allclose(of_samples[:2, 1:2], alone, rtol=1e-4, atol=1e-4)


def evnet_block(simple: int, complex_: int) -> nn.Module:
    network = TinyNet()
    options = FrontendOptions(simple_channels=simple, complex_channels=complex_)
    frontends.install(network, TinyNet.architecture, "evnet", image_size=64, seed=0, options=options)
    return network.conv.block


def test_evnets_cells_are_the_published_ones() -> None:
    block = evnet_block(256, 256)
    assert block.filters.shape == (768, 31, 31)
    assert block.gain == 5.3
    assert block.colours.bincount().tolist() == [128] * 4
    assert block.cells.nx.max() <= 1
    assert block.cells.ny.max() <= 1


def test_evnets_cells_follow_the_published_tables() -> None:
    cells = evnet_block(3000, 3000).cells
    edges = np.array([0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0])
    for part, weights in (
        (cells.frequency[:3000], [4, 4, 8, 25, 33, 26, 28, 12]),
        (cells.frequency[3000:], [0, 0, 9, 9, 7, 10, 23, 12]),
    ):
        shares = np.array(weights) / sum(weights)
        found = np.histogram(part, edges)[0] / 3000
        assert np.abs(found - shares).max() < 4 * math.sqrt(0.25 / 3000)
    widths = np.logspace(-1, 0, 5)
    joint = np.array([[2, 0, 1, 0], [8, 9, 4, 1], [1, 2, 19, 17], [0, 0, 1, 7]])
    found = np.histogram2d(cells.nx, cells.ny, (widths, widths))[0] / 6000
    assert np.abs(found - joint / joint.sum()).max() < 4 * math.sqrt(0.25 / 6000)


def test_evnets_v1_reads_the_noisy_lgn() -> None:
    network, image = tiny("evnet"), images(2)
    front_end = network.conv
    with noise(network, "off"):
        clean = front_end.subcortical(image)
        torch.testing.assert_close(front_end.block(clean), front_end.block.respond(clean))
        torch.testing.assert_close(network.conv[:2](image), front_end.block(clean))
    assert (front_end.block(clean) < 0).any()  # no relu after the noise


def test_the_scale_follows_the_visual_field() -> None:
    wide = FrontendOptions(simple_channels=9, complex_channels=7, visual_degrees=0.5)
    assert tiny("subcortical", options=wide).conv[0].pixels_per_degree == 64
    assert tiny("subcortical").conv[0].pixels_per_degree == 32
    narrow = Subcortical(MEAN, STD, 16.0).respond(images(1, 32))
    assert not torch.allclose(narrow, Subcortical(MEAN, STD, 32.0).respond(images(1, 32)), atol=0.1)


@pytest.mark.parametrize("name", ["subcortical", "evnet"])
def test_images_that_are_not_rgb_are_refused(name: str) -> None:
    network = TinyNet()
    network.conv = nn.Conv2d(1, 6, 7, stride=2, padding=3)
    with pytest.raises(UserError, match="gets images of 1 channels"):
        frontends.install(
            network,
            TinyNet.architecture,
            name,
            image_size=32,
            mean=(0.5,),
            std=(0.25,),
            seed=0,
            options=SMALL,
        )
