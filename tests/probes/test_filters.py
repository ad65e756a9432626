"""The first-layer probe on banks that are known: Gabor, dead, grey, random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustness import architectures, models
from robustness.errors import UserError
from robustness.frontends.blocks.noise import Noise
from robustness.probes import filters
from tests.probes.conftest import SmallNet, gabor


class Bank(nn.Module):
    """A network that is one convolution and a read-out."""

    def __init__(self, weights: Tensor, stride: int = 1) -> None:
        super().__init__()
        n, channels, size, _ = weights.shape
        self.conv = nn.Conv2d(channels, n, size, stride=stride, padding=size // 2, bias=False)
        self.conv.weight.data.copy_(weights)
        self.relu = nn.ReLU()
        self.stages = {"stem": "relu"}

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv(x)).mean((2, 3))


def numbers(result) -> dict[str, float]:
    table = result.table
    return table[table.unit == "all"].set_index("metric")["value"].to_dict()


def gabor_bank(count: int = 8, size: int = 11, frequency: float = 0.15) -> Tensor:
    angles = (torch.arange(count) + 0.5) * torch.pi / count
    grey = torch.stack([gabor(size, float(angle), frequency, size / 6) for angle in angles])
    return grey[:, None] * torch.tensor([0.6, 0.3, 0.1]).view(1, 3, 1, 1)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_a_gabor_layer_is_recognised(images: Tensor) -> None:
    result = filters.run(Bank(gabor_bank()), images)
    found = numbers(result)
    assert found["gabor_r2"] > 0.999
    assert found["gabor_r2_adjusted"] > 0.999
    assert found["gabor_r2_excess"] > 0.99
    assert found["colour_share"] == pytest.approx(1)
    assert found["dead_share"] == 0
    assert found["dead_share_functional"] == 0
    assert found["preferred_frequency"] == pytest.approx(0.15, abs=0.02)
    assert found["orientation_entropy"] == pytest.approx(1)
    assert found["frequency_share/0.125"] == 1
    np.testing.assert_allclose(np.degrees(result.arrays["orientation"]), (np.arange(8) + 0.5) * 22.5, atol=4)


def test_planted_dead_filters_are_counted_and_left_out(images: Tensor) -> None:
    weights = gabor_bank()
    weights[2] = 0
    weights[5] *= 1e-4
    result = filters.run(Bank(weights), images)
    found = numbers(result)
    assert found["dead_share"] == 0.25
    assert result.arrays["dead"].nonzero()[0].tolist() == [2, 5]
    assert found["gabor_r2"] > 0.999
    # Only the filter of zeros never fires; the faint one does not reach a thousandth of the largest response.
    assert found["dead_share_functional"] == 0.25
    rows = result.table[(result.table.metric == "gabor_r2") & (result.table.unit.isin(["2", "5"]))]
    assert rows["value"].isna().all()


def test_random_filters_are_no_better_than_the_null(images: Tensor) -> None:
    weights = torch.randn(32, 3, 11, 11, generator=torch.Generator().manual_seed(1))
    found = numbers(filters.run(Bank(weights), images))
    assert abs(found["gabor_r2_excess"]) < 0.1
    assert found["variance_entropy"] > 1.3


def test_nothing_is_claimed_of_kernels_too_small_for_a_gabor(images: Tensor) -> None:
    weights = torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    result = filters.run(Bank(weights), images)
    claims = result.table[result.table.metric.isin(["gabor_r2", "gabor_r2_adjusted", "gabor_r2_excess"])]
    assert len(claims) == 3 * 9
    assert claims["value"].isna().all()
    assert np.isnan(result.arrays["gabor_r2"]).all()
    assert numbers(result)["gabor_r2_null"] > 0.8


def test_copies_of_one_filter_have_no_entropy() -> None:
    scaled = gabor_bank(1) * torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1, 1)
    assert filters.variance_entropy(scaled.numpy()) == pytest.approx(0, abs=1e-6)


def test_stride_decides_the_aliasing(images: Tensor) -> None:
    bank = gabor_bank(frequency=0.2)
    fine, coarse = (numbers(filters.run(Bank(bank, stride), images))["alias_energy"] for stride in (1, 4))
    assert fine == 0
    assert coarse > 0.7


def test_a_filter_of_two_colours_shares_its_energy() -> None:
    weights = torch.zeros(1, 3, 5, 5)
    weights[0, 0, 1, 1] = 2.0
    weights[0, 1, 3, 3] = 1.0
    component, share = filters.first_colour_component(weights.numpy())
    assert share[0] == pytest.approx(0.8)
    assert component[0, 1, 1] == pytest.approx(2.0)


@pytest.mark.parametrize("frontend", ["vone", "gabor", "random"])
def test_a_front_end_shows_its_own_bank(frontend: str) -> None:
    spec = models.ModelSpec("resnet18", frontend, "canonical", 4, 64, seed=0, width=0.125)
    model = models.build(replace(spec, frontend_options={"simple_channels": 16, "complex_channels": 16}))
    result = filters.run(model, torch.rand(4, 3, 64, 64), max_filters=8)
    found = numbers(result)
    assert found["dead_share"] == 0
    assert found["colour_share"] == pytest.approx(1)
    assert found["stride"] == 4
    assert (found["gabor_r2"] > 0.99) == (frontend != "random")


def test_every_architecture_has_a_first_layer() -> None:
    for name in ("neocognitron", "lenet5", "alexnet", "nasnet_a_mobile", "efficientnet_b0"):
        model = models.build(models.ModelSpec(name, "learned", "canonical", 4, 64, seed=0, width=0.25))
        layer = filters.first_layer(model, torch.rand(1, 3, 64, 64))
        assert layer.path.startswith(
            tuple(f"network.{path}" for path in architectures.get(name).stem.modules)
        )


def test_a_network_without_filters_is_refused() -> None:
    with pytest.raises(UserError, match="no filter bank"):
        filters.first_layer(
            nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(3, 2)), torch.rand(1, 3, 2, 2)
        )


def test_a_network_without_a_stem_is_refused(images: Tensor) -> None:
    net = SmallNet()
    del net.stages["stem"]
    with pytest.raises(UserError, match=r"no stage 'stem'.*middle, penultimate"):
        filters.run(net, images)


def test_pixel_noise_equals_itself() -> None:
    """Noise of 0.4 on images divided by 0.25 is 0.1 on the pixels; a linear stem of gain g before noise σ
    has σ/g; an observer of n equal copies has σ/√n."""
    images = torch.rand(12, 3, 16, 16, generator=torch.Generator().manual_seed(1))

    class Stem(nn.Module):
        def __init__(self, before: nn.Module, std: float) -> None:
            super().__init__()
            self.before, self.noise = before, Noise("gaussian", std=std, rectify=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.noise(self.before(x))

    class Scale(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x - 0.5) / 0.25

    class Copies(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.repeat(1, 4, 1, 1)

    assert filters.noise_equivalent_sd(Stem(Scale(), 0.4), images) == pytest.approx(0.1, rel=1e-4)
    assert filters.noise_equivalent_sd(Stem(nn.Identity(), 0.3), images) == pytest.approx(0.3, rel=1e-4)
    assert filters.noise_equivalent_sd(Stem(Copies(), 0.3), images) == pytest.approx(0.15, rel=1e-4)
    two = nn.Sequential(Stem(Scale(), 0.4), Stem(nn.Identity(), 0.1))
    assert np.isnan(filters.noise_equivalent_sd(two, images))


def test_image_noise_hides_as_much_as_the_v1_block_of_the_profiles() -> None:
    """On images with the spectrum of natural ones: the comparison of the two is one at equal noise."""
    white = torch.randn(16, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    frequency = torch.fft.fftfreq(64)
    size = torch.hypot(frequency[:, None], frequency).clamp_min(1 / 64)
    natural = torch.fft.ifft2(torch.fft.fft2(white) / size).real
    images = (0.5 + 0.2 * natural / natural.std((1, 2, 3), keepdim=True)).clamp(0, 1)
    options = {"simple_channels": 64, "complex_channels": 64, "minimum_stride": 4}
    found = []
    for name, changed in (("vone", options), ("image_noise", {})):
        spec = models.ModelSpec("resnet18", name, "canonical", 10, 64, seed=0, width=0.25,
                                frontend_options=changed)  # fmt: skip
        with torch.no_grad():
            found.append(filters.noise_equivalent_sd(models.build(spec).eval(), images))
    assert found[1] == pytest.approx(found[0], rel=0.1)


def test_the_filters_of_a_linear_classifier_are_its_templates() -> None:
    spec = models.ModelSpec("linear", "learned", "canonical", 10, 16, seed=0)
    model = models.build(spec).eval()
    found = filters.first_layer(model, torch.rand(1, 3, 16, 16))
    assert found.stride == 1
    assert torch.equal(found.weights, model.network.output.weight.detach().view(10, 3, 16, 16))
