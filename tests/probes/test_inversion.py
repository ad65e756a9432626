"""Inversion where the pre-image is known, and a batch that equals one after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustness.probes import inversion
from robustness.probes.inversion import nrmse, ssim
from robustness.probes.inversion_engine import (
    alpha_norm,
    data_weight,
    invert,
    jitter_of,
    relative_error,
    rolled,
    total_variation,
)
from robustness.probes.layers import probing


class Invertible(nn.Module):
    """Every pixel's colours are mixed by an orthogonal matrix, and mirrored; a mean as read-out."""

    def __init__(self) -> None:
        super().__init__()
        matrix = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(2)))[0]
        self.mix = nn.Conv2d(3, 3, 1, bias=False)
        self.mix.weight.data.copy_(matrix[:, :, None, None])
        self.stages = {"stem": "mix"}

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(x).mean((2, 3))


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_an_invertible_layer_gives_the_image_back(pictures: Tensor) -> None:
    model = Invertible()
    result = inversion.run(
        model, pictures, torch.zeros(3, dtype=torch.long), count=2, starts=3, iterations=(150, 50), prior=0.0
    )
    rows = result.table[result.table.unit == "all"].set_index("metric")["value"]
    assert rows["relative_error"] < 0.005
    assert rows["feature_error"] < 0.02
    assert rows["nrmse"] < 0.01
    assert rows["ssim"] > 0.999
    assert rows["variation"] < 0.01
    assert rows["label_consistency"] == 1


def test_a_layer_that_keeps_one_number_leaves_the_rest_open(small_net: nn.Module, batch) -> None:
    images, labels = batch
    small_net.stages = {"stem": "relu1", "penultimate": "flatten"}
    result = inversion.run(small_net, images, labels, count=2, starts=3, iterations=(60, 20), prior=0.0)
    rows = result.table[result.table.unit == "all"].set_index(["layer", "metric"])["value"]
    assert rows["penultimate", "variation"] > 1.3 * rows["stem", "variation"]
    assert rows["penultimate", "nrmse"] > rows["stem", "nrmse"]
    assert rows["penultimate", "relative_error"] < 0.1


def test_a_batch_equals_one_after_the_other(small_net: nn.Module, batch) -> None:
    images, _ = batch
    options = dict(weight=20.0, iterations=(8, 3), seed=3)
    with probing(small_net, seed=0):
        together = invert(
            small_net, "relu2", images[[0, 0, 5]], starts=[0, 1, 0], ids=[0, 0, 1], **options, mean=None
        )
        mean = images[[0, 0, 5]].mean((0, 2, 3))
        for index, (image, start, own) in enumerate([(0, 0, 0), (0, 1, 0), (5, 0, 1)]):
            alone = invert(
                small_net, "relu2", images[[image]], starts=[start], ids=[own], **options, mean=mean
            )
            torch.testing.assert_close(alone.images[0], together.images[index], atol=2e-4, rtol=0)
            torch.testing.assert_close(alone.errors[0], together.errors[index], atol=1e-5, rtol=1e-3)


def test_the_error_of_a_sample_is_its_own() -> None:
    features = torch.tensor([[1.0, 1.0], [200.0, 0.0]])
    wanted = torch.tensor([[1.0, 2.0], [100.0, 0.0]])
    torch.testing.assert_close(relative_error(features, wanted), torch.tensor([0.2, 1.0]))


def test_priors_cost_one_at_their_bounds() -> None:
    flat = torch.zeros(1, 3, 4, 4)
    flat[:, 0] = 80 / 255
    assert float(alpha_norm(flat)) == pytest.approx(1, rel=1e-4)
    assert float(alpha_norm(2 * flat)) == pytest.approx(64, rel=1e-4)
    assert float(total_variation(flat)) == 0
    ramp = torch.zeros(1, 1, 227, 227) + torch.arange(227) * (80 / 6.5 / 255)
    assert float(total_variation(ramp)) == pytest.approx(226 / 227, rel=1e-4)
    # The same ramp on a quarter of the pixels is four times as steep, and costs the same.
    coarse = torch.zeros(1, 1, 57, 57) + torch.arange(57) * (80 / 6.5 / 255 * 227 / 57)
    assert float(total_variation(coarse)) == pytest.approx(56 / 57, rel=1e-4)


def test_the_weight_of_the_data_by_depth() -> None:
    assert [data_weight(depth) for depth in (0.0, 0.14, 0.3, 0.6, 0.8, 1.0)] == [10, 10, 4, 2, 2, 2]


def test_rolled_images_move_by_whole_pixels(pictures: Tensor) -> None:
    moved = rolled(pictures, torch.tensor([[0, 0], [2, 0], [0, -1]]))
    assert torch.equal(moved[0], pictures[0])
    assert torch.equal(moved[1, :, 2:], pictures[1, :, :-2])
    assert torch.equal(moved[1, :, 0], pictures[1, :, 2])
    assert torch.equal(moved[2, :, :, :-1], pictures[2, :, :, 1:])


def test_nrmse_and_ssim_of_known_pairs(pictures: Tensor) -> None:
    mean = pictures.mean((2, 3), keepdim=True).expand_as(pictures)
    torch.testing.assert_close(nrmse(pictures, pictures), torch.zeros(3))
    torch.testing.assert_close(nrmse(mean, pictures), torch.ones(3))
    assert torch.isnan(nrmse(pictures, mean)).all()
    torch.testing.assert_close(ssim(pictures, pictures), torch.ones(3))
    assert (ssim(1 - pictures, pictures) < 0).all()
    dim = torch.full((1, 3, 16, 16), 0.2)
    luminance = (2 * 0.2 * 0.4 + 1e-4) / (0.2**2 + 0.4**2 + 1e-4)
    assert float(ssim(2 * dim, dim)) == pytest.approx(luminance, rel=1e-3)


def test_different_starts_differ_and_equal_seeds_do_not(small_net: nn.Module, batch) -> None:
    images, labels = batch
    options = dict(count=1, starts=2, iterations=(3, 1), stages=["middle"])
    one = inversion.run(small_net, images, labels, seed=1, **options)
    two = inversion.run(small_net, images, labels, seed=1, **options)
    np.testing.assert_array_equal(one.arrays["middle/images"], two.arrays["middle/images"])
    assert (one.arrays["middle/images"][0, 0] != one.arrays["middle/images"][0, 1]).any()


def test_a_sample_ends_when_its_objective_stands_and_says_so_when_it_does_not(pictures: Tensor) -> None:
    options = dict(starts=[0, 1, 2], ids=[0, 1, 2], weight=1.0, prior=0.0, rate=0.1)
    with probing(Invertible(), seed=0) as model:
        easy = invert(model, "mix", pictures, iterations=(400, 10), tolerance=0.5, **options)
        cut = invert(model, "mix", pictures, iterations=(45, 10), tolerance=0.0, **options)
        alone = [
            invert(model, "mix", pictures[[i]], iterations=(400, 10), tolerance=0.5,
                   mean=pictures.mean((0, 2, 3)), **options | {"starts": [i], "ids": [i]})
            for i in range(3)
        ]  # fmt: skip
    assert (easy.fall < 0.5).all()
    made = easy.trace.isfinite().sum(1)
    assert (made < 410).all()
    assert made.tolist() == [int(each.trace.isfinite().sum()) for each in alone]
    assert (cut.fall > 0).all()
    assert cut.trace.isfinite().sum(1).tolist() == [55] * 3


def test_jitter_is_the_published_share_of_the_stride() -> None:
    assert [jitter_of(stride) for stride in (1, 2, 4, 8, 16, 32)] == [0, 0, 0, 0, 1, 3]
