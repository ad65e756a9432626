"""Divisive normalisation against the hyperbolic ratio (Heeger 1992)."""

from __future__ import annotations

import math

import pytest
import torch
from frontend_tools import SMALL, TinyNet, images, tiny

from robustness import frontends
from robustness.frontends import FrontendOptions, noise
from robustness.frontends.divisive_normalisation import DivisiveNormalisation


def test_a_cell_has_the_hyperbolic_ratio_of_its_contrast() -> None:
    """gain·(a·c)²/(σ² + m·c²), m the mean of a²: half of the limit at c = σ/√m."""
    drive = torch.tensor([2.0, 1.0, 0.0, 1.0]).view(1, 4, 1, 1)
    module = DivisiveNormalisation(sigma=0.6, gain=3.0)
    limit = 3.0 * drive.square() / 1.5
    semisaturation = 0.6 / math.sqrt(1.5)
    for contrast in (0.1, semisaturation, 1.0, 100.0):
        ratio = contrast**2 / (semisaturation**2 + contrast**2)
        assert torch.allclose(module(contrast * drive), limit * ratio, rtol=1e-5)


def test_other_cells_suppress_and_other_places_do_not() -> None:
    module = DivisiveNormalisation(sigma=1.0, gain=1.0)
    alone, crowded = torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 3)
    alone[0, 0, 1, 1] = crowded[0, 0, 1, 1] = 2.0
    crowded[0, 1, 1, 1] = 4.0
    assert module(alone)[0, 0, 1, 1].item() == pytest.approx(4 / 3)
    assert module(crowded)[0, 0, 1, 1].item() == pytest.approx(4 / 11)
    crowded[0, 1, 1, 1], crowded[0, 1, 0, 0] = 0.0, 4.0
    assert module(crowded)[0, 0, 1, 1].item() == pytest.approx(4 / 3)


def test_the_bank_is_half_saturated_at_a_third_of_full_contrast() -> None:
    """Gratings of the median frequency: the pool's mean, and the mean over cells at full contrast."""
    network = TinyNet()
    options = FrontendOptions(simple_channels=64, complex_channels=64)
    frontends.install(
        network, TinyNet.architecture, "divisive_normalisation", image_size=64, seed=0, options=options
    )
    front_end = network.conv
    cycles = torch.tensor(front_end.block.cells.frequency).median().item() / 28
    place, angle = torch.arange(64.0), torch.arange(12) * math.pi / 12
    along = place[:, None] * angle.cos()[:, None, None] + place * angle.sin()[:, None, None]
    grating = (2 * math.pi * cycles * along).sin()[:, None].expand(-1, 3, -1, -1)
    with torch.no_grad():
        full, third = (front_end.block(contrast * 2 * grating) for contrast in (1.0, 0.33))
        normalised = front_end.normalisation(full)
    assert third.square().mean().sqrt().item() == pytest.approx(front_end.normalisation.sigma, rel=1e-3)
    assert normalised.mean().item() == pytest.approx(full.mean().item(), rel=0.1)


def test_noise_comes_after_it() -> None:
    network, image = tiny("divisive_normalisation"), images(2)
    front_end = network.conv
    assert [name for name, _ in front_end.named_children()][:3] == ["block", "normalisation", "noise"]
    with noise(network, "off"):
        clean = front_end.normalisation(front_end.block(image))
        assert torch.allclose(front_end[:3](image), clean)
    assert front_end.noise.kind == "neuronal"
    silent = FrontendOptions(**(vars(SMALL) | {"noise": "none"}))
    assert not frontends.is_stochastic(tiny("divisive_normalisation", options=silent))
