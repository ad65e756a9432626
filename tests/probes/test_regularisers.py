"""Every operator against a plain computation for one sample at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from robustness.errors import UserError
from robustness.probes.fourier import NaturalStatistics, RandomTransforms, from_coefficients, from_phase
from robustness.probes.regularisers import (
    REGULARISERS,
    PixelOperators,
    Regulariser,
    chosen,
    gaussian_blur,
    keep_largest,
    published_rate,
    total_variation_gradient,
)


@pytest.fixture
def noise() -> Tensor:
    return torch.randn(3, 3, 12, 10, generator=torch.Generator().manual_seed(4))


def test_yosinskis_table_is_as_published() -> None:
    table = {
        name: (r.decay, r.blur, r.blur_every, r.small_norm, r.small_contribution, r.iterations, r.rate_cap)
        for name, r in REGULARISERS.items()
        if name.startswith("yosinski")
    }
    assert table == {
        "yosinski1": (0, 0.5, 4, 50, 0, 500, 100),
        "yosinski2": (0.3, 0, 4, 20, 0, 750, 100),
        "yosinski3": (1e-4, 1.0, 4, 0, 0, 1000, 100),
        "yosinski4": (0, 0.5, 4, 0, 90, 1000, 1e8),
    }


def test_rates_are_converted_from_255_to_1() -> None:
    norm = torch.tensor([0.5, 510.0])
    fixed = published_rate(REGULARISERS["yosinski3"], norm)
    torch.testing.assert_close(fixed, torch.full((2,), 100 / 255**2))
    # min(100, 2/‖g255‖²) with ‖g255‖ = ‖g01‖/255, and the step on x01 is η/255 · g255 = η/255² · g01.
    for value, rate in zip(norm, published_rate(REGULARISERS["yosinski1"], norm), strict=True):
        assert float(rate) == pytest.approx(min(100, 2 / float(value / 255) ** 2) / 255**2, rel=1e-5)


def test_a_regulariser_without_a_published_rate_is_refused() -> None:
    with pytest.raises(UserError, match="no published rate for 'fourier'"):
        published_rate(REGULARISERS["fourier"], torch.ones(1))


def test_unknown_regularisers_are_refused() -> None:
    with pytest.raises(UserError, match=r"unknown 'yosinski5'; did you mean yosinski"):
        chosen(["none", "yosinski5"])


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.3])
def test_blur_is_a_gaussian_with_mirrored_borders(noise: Tensor, sigma: float) -> None:
    expected = noise.numpy().astype(float)
    for axis in (2, 3):
        expected = gaussian_filter1d(expected, sigma, axis=axis, mode="mirror", radius=int(3 * sigma + 0.5))
    np.testing.assert_allclose(gaussian_blur(noise, sigma).numpy(), expected, atol=1e-5)


def test_each_sample_has_its_own_blur(noise: Tensor) -> None:
    sigmas = torch.tensor([0.0, 0.7, 1.5])
    together = gaussian_blur(noise, sigmas)
    torch.testing.assert_close(together[0], noise[0])
    for index in (1, 2):
        alone = gaussian_blur(noise[index : index + 1], float(sigmas[index]))
        torch.testing.assert_close(together[index : index + 1], alone, atol=2e-3, rtol=0)


def test_small_pixels_are_cut_to_the_percentage(noise: Tensor) -> None:
    size = noise.square().sum(1)
    cut = keep_largest(noise, size, torch.tensor([0.0, 50.0, 90.0]))
    gone = (cut == 0).all(1).float().mean((1, 2))
    torch.testing.assert_close(gone, torch.tensor([0.0, 0.5, 0.9]))
    kept = (cut != 0).any(1)
    assert size[1][kept[1]].min() > size[1][~kept[1]].max()


def test_operators_act_in_yosinskis_order(noise: Tensor) -> None:
    settings = [
        Regulariser("a", decay=0.25),
        Regulariser("b", blur=1.0, blur_every=2, small_norm=50),
        Regulariser("c", decay=0.1, small_contribution=90),
    ]
    operators = PixelOperators(settings, torch.device("cpu"))
    gradient = noise.flip(0)
    for step in (0, 1):
        found = operators(noise, gradient, step)
        torch.testing.assert_close(found[0], 0.75 * noise[0])
        second = gaussian_blur(noise[1:2], 1.0) if step == 1 else noise[1:2]
        second = keep_largest(second, second.square().sum(1), torch.tensor([50.0]))
        torch.testing.assert_close(found[1:2], second)
        third = 0.9 * noise[2:3]
        contribution = (gradient[2:3] * third).sum(1).abs()
        torch.testing.assert_close(found[2:3], keep_largest(third, contribution, torch.tensor([90.0])))


def test_the_total_variations_gradient_is_autograds(noise: Tensor) -> None:
    leaf = noise.clone().double().requires_grad_()
    right = torch.nn.functional.pad(leaf[..., :, 1:] - leaf[..., :, :-1], (0, 1))
    down = torch.nn.functional.pad(leaf[..., 1:, :] - leaf[..., :-1, :], (0, 0, 0, 1))
    (expected,) = torch.autograd.grad((right**2 + down**2 + 0.1**2).sqrt().sum(), leaf)
    torch.testing.assert_close(total_variation_gradient(noise.double(), 0.1), expected)


def natural_images() -> Tensor:
    generator = torch.Generator().manual_seed(8)
    grey = gaussian_blur(torch.randn(40, 1, 16, 14, generator=generator), 2.0)
    return (0.5 + 0.3 * grey + 0.02 * torch.randn(40, 3, 16, 14, generator=generator)).clamp(0, 1)


def test_the_natural_spectrum_is_kept_whatever_the_phase() -> None:
    images = natural_images()
    statistics = NaturalStatistics.of(images)
    phase = torch.rand(5, 3, 16, 8, generator=torch.Generator().manual_seed(1)) * 6.28
    made = from_phase(phase, 14, statistics)
    plain = torch.einsum("dc,nchw->ndhw", torch.linalg.inv(statistics.colours), made - statistics.mean)
    magnitude = torch.fft.rfft2(plain, norm="ortho").abs()
    # Frequencies that are their own mirror image keep only the real part of their phase.
    free = torch.ones(16, 8, dtype=torch.bool)
    free[:, 0] = free[:, 7] = False
    torch.testing.assert_close(
        magnitude[:, :, free], statistics.magnitude[:, free].expand(5, -1, -1), atol=1e-4, rtol=1e-3
    )


def test_white_noise_gets_the_natural_colours() -> None:
    images = natural_images()
    statistics = NaturalStatistics.of(images)
    flat = (images - images.mean((0, 2, 3)).view(1, 3, 1, 1)).transpose(0, 1).flatten(1)
    covariance = flat @ flat.T / flat.shape[1]
    torch.testing.assert_close(statistics.colours @ statistics.colours.T, covariance, atol=1e-4, rtol=1e-3)


def test_no_coefficients_are_the_mean_colour() -> None:
    statistics = NaturalStatistics.of(natural_images())
    made = from_coefficients(torch.zeros(2, 3, 16, 8, 2), 14, statistics)
    torch.testing.assert_close(made, statistics.mean.expand_as(made))


def test_transforms_belong_to_the_sample_not_to_the_batch(noise: Tensor) -> None:
    ids = [("late", 3, 0), ("late", 5, 1), ("stem", 3, 0)]
    together = RandomTransforms.draw(7, ids, 4).apply(noise, 2)
    for index in range(3):
        alone = RandomTransforms.draw(7, ids[index : index + 1], 4).apply(noise[index : index + 1], 2)
        torch.testing.assert_close(alone, together[index : index + 1])


def test_no_transform_is_the_identity(noise: Tensor) -> None:
    still = RandomTransforms.draw(0, [(i,) for i in range(3)], 2, degrees=0, scale=0, shift=0)
    torch.testing.assert_close(still.apply(noise, 1), noise)


def test_a_quarter_turn_of_an_oblong_image(noise: Tensor) -> None:
    square = noise[:1, :, :10, :10]
    quarter = RandomTransforms.draw(0, [("a",)], 1, degrees=0, scale=0, shift=0)
    rotated = quarter._replace(angle=quarter.angle + torch.pi / 2).apply(square, 0)
    torch.testing.assert_close(rotated, square.rot90(1, (2, 3)), atol=1e-4, rtol=1e-4)
