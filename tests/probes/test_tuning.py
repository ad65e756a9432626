"""The tuning probe on units that are known: Gabors, energy, blobs, planted surrounds and saturation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustness import models
from robustness.errors import UserError
from robustness.probes import gratings, tuning, tuning_curves, v1_distributions
from robustness.probes.result import ProbeResult
from robustness.probes.v1_distributions import PUBLISHED
from tests.probes.conftest import gabor

SIDE, SIZE, REACH = 48, 33, 16
NX = 0.5
"""Standard deviation of the planted Gabors along and across, in periods."""
THETAS = (0.1, 0.9, 1.7, 2.6)
CYCLES = (3.0, 4.0, 5.0, 6.0)
"""Per degree."""


class Units(nn.Module):
    """A stem of filters on the grey image around 0, and what ``combine`` makes of their outputs."""

    def __init__(self, filters: Tensor, combine: Callable[[Tensor], Tensor], stride: int = 6) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            1, len(filters), filters.shape[-1], stride=stride, padding=filters.shape[-1] // 2, bias=False
        )
        self.conv.weight.data.copy_(filters[:, None])
        self.combine = combine
        self.stem = nn.Identity()
        self.stages = {"stem": "stem"}

    def forward(self, images: Tensor) -> Tensor:
        return self.stem(self.combine(self.conv(images.mean(1, keepdim=True) - 0.5))).mean((2, 3))


def planted(cycles: float, theta: float, phase: float = 0.0) -> Tensor:
    """A Gabor of gain 1: a full grating of contrast 1 moves it from −0.5 to 0.5."""
    frequency = cycles / 28
    made = gabor(SIZE, theta, frequency, NX / frequency, phase).double()
    made = made - made.mean() * (phase == 0)
    axis = torch.arange(SIZE, dtype=torch.float64) - REACH
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    along = 2 * torch.pi * frequency * (x * np.cos(theta) + y * np.sin(theta))
    gain = torch.hypot((made * along.cos()).sum(), (made * along.sin()).sum())
    return (made / gain).float()


def pairs_of(waves: list[tuple[float, float]]) -> Tensor:
    """The Gabors of all waves (cycles per degree, direction), then their partners in quadrature."""
    return torch.stack([planted(*wave, phase) for phase in (0.0, -torch.pi / 2) for wave in waves])


def energy(filtered: Tensor) -> Tensor:
    first, second = filtered.chunk(2, dim=1)
    return torch.hypot(first, second)


WAVES = list(zip(CYCLES, THETAS, strict=True))
SHOWN = [(float(tuning.frequencies()[7]), float(tuning.ORIENTATIONS[turn])) for turn in (1, 4, 9)]
"""Waves that are among the gratings."""


def look(network: nn.Module, **settings: int) -> ProbeResult:
    return tuning.run(network, torch.zeros(1, 3, SIDE, SIDE), seed=0, **settings)


def numbers(result: ProbeResult, layer: str = "stem") -> dict[str, float]:
    table = result.table[(result.table.unit == "all") & (result.table.layer == layer)]
    return table.set_index("metric")["value"].to_dict()


@pytest.fixture(scope="module")
def complex_cells() -> dict[str, np.ndarray]:
    return look(Units(pairs_of(WAVES), energy)).arrays


@pytest.fixture(scope="module")
def simple_cells() -> dict[str, np.ndarray]:
    phases = (0.3, 1.2, 2.4, 4.0)
    filters = torch.stack([planted(*wave, phase) for wave, phase in zip(WAVES, phases, strict=True)])
    return look(Units(filters, lambda filtered: filtered)).arrays


@pytest.mark.parametrize("kind", ["simple_cells", "complex_cells"])
def test_planted_waves_and_bandwidths_are_found(kind: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(kind)
    apart = np.degrees(np.abs((found["stem/preferred_orientation"] - THETAS + np.pi / 2) % np.pi - np.pi / 2))
    assert apart.max() < 2
    np.testing.assert_allclose(found["stem/preferred_frequency"], CYCLES, rtol=0.06)  # of samples 1.4 apart
    # exp(−2π²·nx²·(f/f0 − 1)²) is a half, and 1/√2, at 1 ± these.
    half, upper = (np.sqrt(np.log(level) / 2) / np.pi / NX for level in (2, np.sqrt(2)))
    octaves = np.log2((1 + half) / (1 - half))
    np.testing.assert_allclose(found["stem/frequency_bandwidth"], octaves, rtol=0.06)
    ratio = (1 - upper) / (1 + upper)
    np.testing.assert_allclose(found["stem/frequency_selectivity"], 100 * ratio, rtol=0.06)
    assert found["stem/frequency_bandwidth"] == pytest.approx(1.14, abs=0.06)


def test_selectivity_for_orientation_is_that_of_the_closed_form(
    complex_cells: dict[str, np.ndarray],
) -> None:
    grid, fine, step = tuning.frequencies(), np.radians(np.arange(-90, 90, 0.01)), np.pi / 12
    samples = np.arange(12) * step
    for unit, (cycles, theta) in enumerate(WAVES):
        ratio = grid[np.abs(grid - cycles).argmin()] / cycles

        def curve(turned: np.ndarray, ratio: float = ratio) -> np.ndarray:
            both = [ratio**2 - 2 * ratio * np.cos(turned + turn) + 1 for turn in (0, np.pi)]
            evoked = sum(np.exp(-2 * np.pi**2 * NX**2 * each) for each in both)
            return tuning_curves.MEDIAN_BLANK + tuning_curves.MEDIAN_PEAK * evoked

        smooth = curve(fine) + 0.4 * (curve(fine - step) + curve(fine + step))
        half = np.degrees(np.abs(fine[smooth < smooth.max() / np.sqrt(2)]).min())
        assert complex_cells["stem/orientation_bandwidth"][unit] == pytest.approx(half, rel=0.04)
        sampled = curve(samples - theta)
        variance = 1 - np.abs(sampled @ np.exp(2j * samples)) / sampled.sum()
        assert complex_cells["stem/circular_variance"][unit] == pytest.approx(variance, abs=0.02)


def test_simple_and_complex_cells_are_told_apart(
    simple_cells: dict[str, np.ndarray], complex_cells: dict[str, np.ndarray]
) -> None:
    evoked = tuning_curves.MEDIAN_PEAK - tuning_curves.MEDIAN_BLANK
    # Half of a sinusoid: F1/F0 = π/2, and the blank response in F0; eight phases know F0 within 5 %.
    expected = evoked / (2 / np.pi * evoked + tuning_curves.MEDIAN_BLANK)
    np.testing.assert_allclose(simple_cells["stem/modulation_ratio"], expected, rtol=0.06)
    assert complex_cells["stem/modulation_ratio"].max() < 0.05


def test_a_blob_has_no_orientation() -> None:
    blob = gabor(SIZE, 0.0, 0.0, 3.0)[None]
    found = look(Units(blob, lambda filtered: filtered))
    assert numbers(found)["circular_variance"] == pytest.approx(1, abs=1e-3)
    assert numbers(found)["orthogonal_ratio"] == pytest.approx(1, abs=1e-3)
    assert np.isnan(found.arrays["stem/orientation_bandwidth"]).all()
    assert np.isnan(found.arrays["stem/frequency_bandwidth"]).all()  # it passes all low frequencies


@pytest.mark.parametrize(("strength", "summation"), [(0.0, False), (0.4, True), (0.7, True)])
def test_a_planted_surround_suppresses_as_much_as_planted(strength: float, summation: bool) -> None:
    bank = pairs_of(SHOWN[:1])
    axis = torch.arange(SIZE) - REACH
    centre = bank * (torch.hypot(*torch.meshgrid(axis.float(), axis.float(), indexing="ij")) < 5)
    turns = 2 * np.pi * np.arange(64) / 64
    ring = torch.zeros(64, SIZE, SIZE)  # pixels eleven away from the centre
    ring[range(64), *(np.rint(REACH + 11 * wave(turns)).astype(int) for wave in (np.sin, np.cos))] = 1
    drawn = gratings.Gratings(np.array([SHOWN[0][1]]), np.array([SHOWN[0][0] / 28]))
    shown = drawn.images(SIZE, (REACH, REACH), slice(None))[0, 0] - 0.5
    gain = torch.hypot(*(shown * centre).sum((1, 2)))

    def suppressed(filtered: Tensor) -> Tensor:
        # A grating of contrast 1 has the variance 1/8.
        around = filtered[:, 2:].square().mean(1, keepdim=True).sqrt() * 8**0.5
        return energy(filtered[:, :2]) / gain - strength * around

    found = look(Units(torch.cat([centre, ring]), suppressed))
    assert numbers(found)["suppression_index"] == pytest.approx(strength, abs=0.05)
    assert np.isfinite(found.arrays["stem/summation_field"]).all() == summation
    assert numbers(found)["field_radius"] == pytest.approx(
        6 / 28
    )  # the radii are 24, 17, 12, 8.5, 6, … pixels


def test_contrast_saturates_as_planted() -> None:
    def saturating(filtered: Tensor) -> Tensor:
        power = energy(filtered).square()
        return power / (power + (0.5 * 0.25) ** 2)  # a grating of contrast c gives c/2

    found = numbers(look(Units(pairs_of(SHOWN), saturating)))
    assert found["contrast_half"] == pytest.approx(0.25, rel=0.05)
    assert found["contrast_exponent"] == pytest.approx(2, abs=0.1)
    line = look(Units(pairs_of(SHOWN), energy))
    assert numbers(line)["contrast_saturation"] == pytest.approx(0, abs=0.02)
    assert np.isnan(line.arrays["stem/contrast_half"]).all()


def test_units_that_do_not_answer_are_left_out() -> None:
    filters = pairs_of(WAVES)
    filters[[1, 5]] = 0
    found = look(Units(filters, energy))
    assert numbers(found)["responsive_share"] == 0.75
    assert np.isnan(found.arrays["stem/circular_variance"]).tolist() == [False, True, False, False]
    nothing = numbers(look(Units(0 * filters, energy)))
    assert nothing["responsive_share"] == 0
    assert np.isnan(nothing["v1_likeness"])
    assert np.isnan(nothing["circular_variance/median"])


def test_a_kernel_of_three_pixels_has_no_bandwidth() -> None:
    edges = torch.tensor([[[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], [[1.0, 2, 1], [0, 0, 0], [-1, -2, -1]]])
    found = look(Units(edges, lambda filtered: filtered)).arrays
    assert np.isnan([found[f"stem/{name}"] for name in tuning.WIDTHS]).all()
    assert np.isfinite(found["stem/circular_variance"]).all()


@pytest.mark.parametrize("stride", [2, 4, 6])
def test_the_aperture_lies_on_the_central_unit(stride: int) -> None:
    network = Units(pairs_of(WAVES), energy, stride)
    centre = gratings.field_centre(network, "stem", SIDE, 3, seed=0)
    assert centre == pytest.approx((24, 24), abs=0.4)


def test_the_gabor_bank_is_nearer_to_v1_than_random_filters() -> None:
    found = {}
    for frontend in ("vone", "random"):
        spec = models.ModelSpec("resnet18", frontend, "canonical", 4, 64, seed=0, width=0.125)
        options = {"simple_channels": 32, "complex_channels": 32, "minimum_stride": 4}
        network = models.build(replace(spec, frontend_options=options))
        found[frontend] = numbers(
            tuning.run(network, torch.rand(1, 3, 64, 64), side=32, size_units=4), "cells"
        )
    vone, other = found["vone"], found["random"]
    assert vone["v1_likeness"] > other["v1_likeness"] + 4 * other["v1_likeness_sd"]
    assert vone["circular_variance/distance"] < other["circular_variance/distance"]
    assert vone["preferred_frequency/distance"] < 0.2
    assert vone["v1_likeness"] < vone["v1_likeness_ceiling"] < 1


def test_a_field_beyond_the_images_and_no_units_are_refused() -> None:
    with pytest.raises(UserError, match=r"tuning\.side: 64 is not between 16 and 48"):
        look(Units(pairs_of(WAVES), energy), side=64)
    with pytest.raises(UserError, match=r"tuning\.size_units: 0 is not at least 1"):
        look(Units(pairs_of(WAVES), energy), size_units=0)


def _quantile(name: str, share: float) -> float:
    """Of a published histogram, its bins filled evenly on the logarithmic axis."""
    cumulative = np.append(0, np.cumsum(PUBLISHED[name].share))
    return 2 ** np.interp(share, cumulative, np.log2(PUBLISHED[name].edges))


def test_published_tables_have_their_known_sums_and_medians() -> None:
    assert {name: each.counts.sum() for name, each in PUBLISHED.items()} == {
        "circular_variance": 308, "orientation_bandwidth": 300, "orthogonal_ratio": 308,
        "modulation_ratio": 308, "preferred_frequency": 363, "frequency_selectivity": 73,
        "suppression_index": 190, "summation_field": 148,
    }  # fmt: skip
    assert _quantile("preferred_frequency", 0.5) == pytest.approx(2.85, abs=0.01)
    assert _quantile("preferred_frequency", 0.25) == pytest.approx(1.71, abs=0.01)
    assert _quantile("summation_field", 0.5) == pytest.approx(0.78, abs=0.01)
    above = PUBLISHED["modulation_ratio"].counts[5:].sum() / 308
    assert above == pytest.approx(0.403, abs=0.001)


@pytest.mark.parametrize("name", PUBLISHED)
def test_distances_run_from_the_distribution_itself_to_the_worst_bin(name: str) -> None:
    published = PUBLISHED[name]
    ends = np.eye(len(published.counts), dtype=int)[[0, -1]]
    assert v1_distributions.distance(published.counts, published) == pytest.approx(0, abs=1e-12)
    assert v1_distributions.distance(ends, published).max() == pytest.approx(1)
    middle = (published.edges[1:] + published.edges[:-1]) / 2
    cells = np.repeat(middle, published.counts)
    assert (
        v1_distributions.histogram(np.append(cells, np.nan), published).tolist() == published.counts.tolist()
    )


def test_cells_drawn_from_v1_are_as_like_it_as_their_number_allows() -> None:
    generator = np.random.default_rng(0)
    cells = {
        name: generator.choice((each.edges[1:] + each.edges[:-1]) / 2, 40, p=each.share)
        for name, each in PUBLISHED.items()
    }
    found = v1_distributions.likeness(cells, seed=0)
    assert found.value == pytest.approx(found.ceiling, abs=0.04)
    few = v1_distributions.likeness({name: values[:4] for name, values in cells.items()}, seed=0)
    assert np.isnan(few.value)
