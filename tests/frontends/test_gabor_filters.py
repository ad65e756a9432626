"""Filters against the closed formula, their quadrature partners, and golden checksums."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from frontend_tools import images, tiny

from robustness.frontends.blocks import gabor_filters as gabor
from robustness.seeds import numpy_generator

PPD = 28.0


@pytest.fixture(scope="module")
def cells() -> gabor.GaborParameters:
    return gabor.sample(512, numpy_generator(0, "frontend", "gabor"))


def formula(cells: gabor.GaborParameters, cell: int, row: int, column: int, extra: float) -> float:
    """The published formula for one pixel of a 25×25 filter, in plain arithmetic."""
    theta = math.radians(cells.orientation[cell])
    frequency = cells.frequency[cell] / PPD
    sigma_x, sigma_y = cells.nx[cell] / frequency, cells.ny[cell] / frequency
    x, y = row - 12, column - 12
    along = x * math.cos(theta) + y * math.sin(theta)
    across = -x * math.sin(theta) + y * math.cos(theta)
    envelope = math.exp(-0.5 * (along**2 / sigma_x**2 + across**2 / sigma_y**2))
    phase = math.radians(cells.phase[cell] + extra)
    return envelope / (2 * math.pi * sigma_x * sigma_y) * math.cos(2 * math.pi * frequency * along + phase)


@pytest.mark.parametrize(("quadrature", "extra"), [(False, 0.0), (True, 90.0)])
def test_filters_are_the_formula(cells, quadrature, extra):
    filters = gabor.filters(cells, 25, PPD, quadrature=quadrature)
    generator = numpy_generator(1, "pixels")
    for cell, row, column in zip(*generator.integers(0, [[512], [25], [25]], (3, 200)), strict=True):
        assert filters[cell, row, column] == pytest.approx(
            formula(cells, cell, row, column, extra), rel=1e-9, abs=1e-15
        )


def test_partners_are_a_quarter_period_apart(cells):
    """cos² + sin² = 1: the pair's energy is the square of the envelope, at every pixel and for any phase."""
    first = gabor.filters(cells, 25, PPD)
    second = gabor.filters(cells, 25, PPD, quadrature=True)
    frequency = (cells.frequency / PPD)[:, None, None]
    sigma_x, sigma_y = cells.nx[:, None, None] / frequency, cells.ny[:, None, None] / frequency
    theta = np.deg2rad(cells.orientation)[:, None, None]
    x, y = np.mgrid[-12:13, -12:13]
    along, across = x * np.cos(theta) + y * np.sin(theta), -x * np.sin(theta) + y * np.cos(theta)
    envelope = np.exp(-0.5 * (along**2 / sigma_x**2 + across**2 / sigma_y**2)) / (
        2 * np.pi * sigma_x * sigma_y
    )
    assert np.allclose(np.hypot(first, second), envelope, rtol=1e-9, atol=1e-14)


def test_a_complex_cell_reads_one_channel_with_both_partners():
    block = tiny("gabor").conv.block
    simple, complex_cells = block.simple_channels, block.complex_channels
    for channel in range(3):
        image = torch.zeros(1, 3, 32, 32)
        image[:, channel] = images(1)[:, channel]
        outputs = block.filter(image)[0].abs().amax((1, 2))
        reads = block.colours == channel
        first, second = outputs[simple : simple + complex_cells], outputs[simple + complex_cells :]
        assert torch.equal(outputs[:simple] > 0, reads[:simple])
        assert torch.equal(first > 0, reads[simple:])
        assert torch.equal(second > 0, reads[simple:])


def test_filters_of_a_seed_are_the_same_on_every_machine(cells):
    sums = {name: getattr(cells, name).sum() for name in ("orientation", "phase", "frequency", "nx", "ny")}
    assert sums == pytest.approx(
        {
            "orientation": 45624.786266363706,
            "phase": 94338.32907099585,
            "frequency": 1651.3686979374077,
            "nx": 203.24538543002615,
            "ny": 281.24712702374785,
        },
        rel=1e-9,
    )
    assert cells.colour.sum() == 506
    filters = gabor.filters(cells, 25, PPD)
    assert np.abs(filters).sum() == pytest.approx(303.1581929541255, rel=1e-6)
    assert (filters**2).sum() == pytest.approx(1.8326148507002553, rel=1e-6)
    assert filters[0, 12, 12] == pytest.approx(0.002240403304667746, rel=1e-6)
    assert filters[100, 3, 7] == pytest.approx(-0.000829683304963846, rel=1e-6)


def test_sorting_by_channel_keeps_every_cell_and_the_two_kinds(cells):
    ordered = cells.sorted_by_colour(256)
    for half in (slice(0, 256), slice(256, 512)):
        assert (np.diff(ordered.colour[half]) >= 0).all()
        assert set(zip(ordered.phase[half], ordered.colour[half], strict=True)) == set(
            zip(cells.phase[half], cells.colour[half], strict=True)
        )
