"""The fast filters against a plain convolution with the zero-padded bank: values and all gradients."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from robustness.frontends.blocks.responses import blocks_of
from robustness.frontends.blocks.spectral import AxisPlan, SpectralPlan, cheapest_axes
from robustness.frontends.blocks.v1_block import SQRT_CONSTANT, V1Block

# extent, stride, offset, count: published padding, unpadded, centred, larger than the image's grid.
GEOMETRIES = [
    (64, 4, 0, 16),
    (64, 2, 0, 32),
    (40, 1, 0, 40),
    (64, 4, 3, 15),
    (31, 2, 2, 13),
    (50, 3, 0, 17),
    (28, 1, 2, 24),
]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain(image: Tensor, filters: Tensor, axis: tuple[int, int, int, int]) -> Tensor:
    """One channel (N, H, W) with (f, 25, 25), by torch's own convolution."""
    extent, stride, offset, count = axis
    before, after = 12 - offset, stride * (count - 1) + offset + 13 - extent
    padded = functional.pad(image[:, None], (before, after, before, after))
    return functional.conv2d(padded, filters[:, None], stride=stride)


@pytest.mark.parametrize("axis", GEOMETRIES, ids=str)
@pytest.mark.parametrize("tiles", [None, (1, 1), (2, 1), (2, 3)], ids=str)
def test_plan_is_the_convolution_and_its_adjoint_the_transpose(axis, tiles):
    if tiles is None:
        row, column = cheapest_axes(axis, axis, 12)
    else:
        row, column = (AxisPlan(*axis, 12, count) for count in tiles)
    plan = SpectralPlan(row, column)
    image, filters = normal(2, axis[0], axis[0]), normal(5, 25, 25, seed=1) / 25
    spectrum = plan.spectrum(filters)
    analysed = plan.analyse(image)
    outputs = plan.synthesise(analysed, spectrum)
    whole = outputs.unflatten(0, (2, row.tiles, column.tiles)).permute(0, 3, 1, 4, 2, 5)
    whole = whole.reshape(2, 5, row.tiles * row.tile, -1)[..., : axis[3], : axis[3]]
    # The transforms' matrices are float32, whatever the images are.
    assert torch.allclose(whole, plain(image, filters, axis), atol=2e-6)

    gradient = normal(*outputs.shape, seed=2)
    products = plan.synthesise_adjoint(gradient.permute(2, 0, 1, 3))
    transposed = plan.analyse_adjoint(torch.bmm(products, spectrum.transpose(1, 2)), image.shape)
    assert (outputs * gradient).sum().item() == pytest.approx((image * transposed).sum().item(), rel=1e-9)


def block_of(
    axis: tuple[int, int, int, int], *, trained: bool = False, simple: int = 40, pairs: int = 23
) -> V1Block:
    generator = torch.Generator().manual_seed(5)
    colours = [torch.randint(0, 3, (n,), generator=generator).sort().values for n in (simple, pairs)]
    filters = torch.randn(simple + 2 * pairs, 25, 25, generator=generator) / 25
    return V1Block(
        filters,
        torch.cat(colours),
        simple_channels=simple,
        gain=25.0,
        geometry=(axis[1:], axis[1:]),
        noise=None,
        trained=trained,
    )


def zero_padded(block: V1Block) -> Tensor:
    """The bank as the usual convolution has it: (filters, 3, 25, 25), zero on the channels not read."""
    colours = torch.cat([block.colours, block.colours[block.simple_channels :]])
    return block.filters[:, None] * functional.one_hot(colours, 3)[:, :, None, None]


@pytest.mark.parametrize("axis", GEOMETRIES, ids=str)
def test_filter_outputs_equal_the_zero_padded_bank(axis):
    block = block_of(axis)
    image = torch.randn(3, 3, axis[0], axis[0], generator=torch.Generator().manual_seed(0))
    extent, stride, offset, count = axis
    before, after = 12 - offset, stride * (count - 1) + offset + 13 - extent
    expected = functional.conv2d(
        functional.pad(image, (before, after, before, after)), zero_padded(block), stride=stride
    )
    for method in ("spectral", "direct"):
        block.method = method
        assert torch.allclose(block.filter(image), expected, atol=1e-4), method


@pytest.mark.parametrize(("axis", "trained"), list(product(GEOMETRIES[:5], [False, True])), ids=str)
def test_responses_and_gradients_equal_the_direct_way(axis, trained):
    results = {}
    for method in ("spectral", "direct"):
        block = block_of(axis, trained=trained)
        block.method = method
        image = normal(3, 3, axis[0], axis[0]).float().requires_grad_()
        responses = block.respond(image)
        weights = normal(*responses.shape, seed=1).float()
        (responses * weights).sum().backward()
        results[method] = (responses.detach(), image.grad, block.filters.grad)
    for fast, slow in zip(results["spectral"], results["direct"], strict=True):
        if slow is None:
            assert fast is None
        else:
            assert torch.allclose(fast, slow, rtol=1e-4, atol=1e-4 * slow.abs().max().item())


def test_responses_are_the_cells_of_the_filter_outputs():
    block = block_of(GEOMETRIES[0])
    image = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    filtered = functional.conv2d(image, zero_padded(block), stride=4, padding=12)
    simple, first, second = filtered.split([40, 23, 23], dim=1)
    assert torch.allclose(block.respond(image)[:, :40], 25 * simple.relu(), atol=1e-4)
    energy = 25 * ((first**2 + second**2) / 2 + SQRT_CONSTANT).sqrt()
    assert torch.allclose(block.respond(image)[:, 40:], energy, atol=1e-4)


def test_filters_are_transformed_anew_when_they_or_the_image_size_change():
    block, other = block_of(GEOMETRIES[0]), block_of(GEOMETRIES[0])
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before = block.respond(image)
    block.load_state_dict({**other.state_dict(), "filters": 2 * other.filters})
    assert torch.allclose(block.respond(image)[:, :40], 2 * before[:, :40], atol=1e-4)
    smaller = image[..., :60, :60]
    fast = block.respond(smaller)
    block.method = "direct"
    assert torch.allclose(fast, block.respond(smaller), atol=1e-4)


def test_a_result_does_not_depend_on_the_batch():
    block = block_of(GEOMETRIES[1])
    image = torch.randn(37, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    together = block.respond(image)
    assert torch.allclose(together[30:31], block.respond(image[30:31]), atol=1e-5)


def test_autocast_leaves_the_block_in_float32():
    block = block_of(GEOMETRIES[0])
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    expected = block.respond(image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        responses = block.respond(image)
        responses.sum().backward()
    assert responses.dtype == torch.float32
    assert torch.equal(responses, expected)


def test_cells_that_are_not_sorted_by_channel_are_refused():
    with pytest.raises(ValueError, match="sorted by the channel"):
        blocks_of("simple", torch.tensor([0, 2, 1]), 0)
