"""Cells of AmoebaNet-A and NASNet-A against the papers' figures, written out sum by sum."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustness.architectures.amoebanet import AMOEBANET_A
from robustness.architectures.blocks.cells import Cell, CellSpec, FactorizedReduction, SamePool
from robustness.architectures.nasnet import NASNET_A


def norm(x: Tensor, layer: nn.BatchNorm2d) -> Tensor:
    scale = layer.weight / torch.sqrt(layer.running_var + 1e-3)
    return (x - layer.running_mean[:, None, None]) * scale[:, None, None] + layer.bias[:, None, None]


def windows(x: Tensor, kernel: int, stride: int, fill: float) -> Tensor:
    """All kernel x kernel windows at ceil(size / stride) places: (N, C, H, W, kernel, kernel)."""
    size = x.shape[-1]
    places = -(-size // stride)
    total = max((places - 1) * stride + kernel - size, 0)
    padded = torch.full((*x.shape[:2], size + total, size + total), fill, dtype=x.dtype)
    start = total // 2
    padded[:, :, start : start + size, start : start + size] = x
    return padded.unfold(2, kernel, stride).unfold(3, kernel, stride)


def avg(x: Tensor, stride: int) -> Tensor:
    return windows(x, 3, stride, torch.nan).flatten(4).nanmean(dim=4)


def highest(x: Tensor, stride: int) -> Tensor:
    return windows(x, 3, stride, -torch.inf).flatten(4).amax(dim=4)


def separable(part: nn.Module, x: Tensor, kernel: int, stride: int) -> Tensor:
    for turn, step in ((1, stride), (2, 1)):
        depthwise = part.get_submodule(f"depthwise{turn}").weight[:, 0]
        pointwise = part.get_submodule(f"pointwise{turn}").weight[:, :, 0, 0]
        patches = windows(x.relu(), kernel, step, 0.0)
        x = torch.einsum("nchwij,cij,dc->ndhw", patches, depthwise, pointwise)
        x = norm(x, part.get_submodule(f"bn{turn}"))
    return x


def factorised(part: nn.Module, x: Tensor, stride: int) -> Tensor:
    """ReLU, 1x1 to a quarter, BN; ReLU, 1x7, BN; ReLU, 7x1, BN; ReLU, 1x1 back, BN."""
    _, first, bn1, _, row, bn2, _, column, bn3, _, last, bn4 = part
    x = norm(torch.einsum("nchw,dc->ndhw", x.relu(), first.weight[:, :, 0, 0]), bn1)
    x = norm(F.conv2d(F.pad(x.relu(), (3, 3, 0, 0)), row.weight)[:, :, :, ::stride], bn2)
    x = norm(F.conv2d(F.pad(x.relu(), (0, 0, 3, 3)), column.weight)[:, :, ::stride], bn3)
    return norm(torch.einsum("nchw,dc->ndhw", x.relu(), last.weight[:, :, 0, 0]), bn4)


def squeezed(part: nn.Module, x: Tensor) -> Tensor:
    return norm(torch.einsum("nchw,dc->ndhw", x.relu(), part.conv.weight[:, :, 0, 0]), part.bn)


def make(spec: CellSpec, stride: int) -> Cell:
    torch.manual_seed(0)
    cell = Cell(spec, current=12, previous=10, filters=8, stride=stride, previous_stride=1, drop_path=0.0)
    for part in cell.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.1)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.1)
    return cell.eval().double()


def amoeba_normal(cell: Cell, h0: Tensor, h1: Tensor) -> list[Tensor]:
    op = cell.operations
    h2 = avg(h0, 1) + highest(h0, 1)
    h3 = separable(op[2], h1, 3, 1) + h1
    h4 = h0 + avg(h1, 1)
    h5 = separable(op[6], h0, 3, 1) + separable(op[7], h2, 5, 1)
    h6 = avg(h5, 1) + separable(op[9], h0, 3, 1)
    return [h1, h3, h4, h6]


def amoeba_reduction(cell: Cell, h0: Tensor, h1: Tensor) -> list[Tensor]:
    op = cell.operations
    h2 = separable(op[0], h1, 3, 2) + avg(h0, 2)
    h3 = highest(h0, 2) + separable(op[3], h2, 7, 1)
    h4 = highest(h1, 2) + highest(h0, 2)
    h5 = separable(op[6], h4, 3, 1) + factorised(op[7], h0, 2)
    h6 = avg(h1, 2) + separable(op[9], h0, 7, 2)
    return [h2, h3, h4, h5, h6]


def nasnet_normal(cell: Cell, h0: Tensor, h1: Tensor) -> list[Tensor]:
    op = cell.operations
    return [
        h1,
        separable(op[0], h0, 5, 1) + separable(op[1], h1, 3, 1),
        separable(op[2], h1, 5, 1) + separable(op[3], h1, 3, 1),
        avg(h0, 1) + h1,
        avg(h1, 1) + avg(h1, 1),
        separable(op[8], h0, 3, 1) + h0,
    ]


def nasnet_reduction(cell: Cell, h0: Tensor, h1: Tensor) -> list[Tensor]:
    op = cell.operations
    h2 = separable(op[0], h0, 5, 2) + separable(op[1], h1, 7, 2)
    h3 = highest(h0, 2) + separable(op[3], h1, 7, 2)
    h4 = avg(h0, 2) + separable(op[5], h1, 5, 2)
    h5 = h3 + avg(h2, 1)
    h6 = separable(op[8], h2, 3, 1) + highest(h0, 2)
    return [h3, h4, h5, h6]


@pytest.mark.parametrize("size", [8, 7])
@pytest.mark.parametrize(
    ("spec", "stride", "by_hand"),
    [
        (AMOEBANET_A.normal, 1, amoeba_normal),
        (AMOEBANET_A.reduction, 2, amoeba_reduction),
        (NASNET_A.normal, 1, nasnet_normal),
        (NASNET_A.reduction, 2, nasnet_reduction),
    ],
    ids=["amoebanet-normal", "amoebanet-reduction", "nasnet-normal", "nasnet-reduction"],
)
def test_cell_is_the_papers(spec: CellSpec, stride: int, by_hand: Callable, size: int) -> None:
    cell = make(spec, stride)
    generator = torch.Generator().manual_seed(1)
    current = torch.randn(2, 12, size, size, generator=generator, dtype=torch.float64)
    previous = torch.randn(2, 10, size, size, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        expected = torch.cat(
            by_hand(cell, squeezed(cell.squeeze, current), squeezed(cell.adapt, previous)), dim=1
        )
        found = cell(current, previous)
    assert found.shape == (2, cell.channels, -(-size // stride), -(-size // stride))
    assert torch.allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("size", [8, 7])
def test_factorised_reduction_reads_two_grids(size: int) -> None:
    torch.manual_seed(0)
    reduction = FactorizedReduction(4, 6).eval()
    x = torch.randn(1, 4, size, size)
    found = reduction(x)
    half = -(-size // 2)
    assert found.shape == (1, 6, half, half)
    padded = F.pad(x.relu(), (0, 1, 0, 1))
    for grid, conv in enumerate((reduction.conv1, reduction.conv2)):
        pixel = padded[0, :, 2 + grid, 4 + grid]
        expected = conv.weight[:, :, 0, 0] @ pixel / (1 + 1e-3) ** 0.5
        assert torch.allclose(found[0, 3 * grid : 3 * grid + 3, 1, 2], expected, atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [6, 7])
def test_pools_ignore_the_border(size: int, stride: int) -> None:
    x = torch.randn(1, 2, size, size) - 5
    assert torch.allclose(SamePool("avg", stride)(x), avg(x, stride), atol=1e-6)
    assert torch.equal(SamePool("max", stride)(x), highest(x, stride))


def test_cell_specification_is_checked() -> None:
    with pytest.raises(ValueError, match="ten operations"):
        CellSpec(("none",) * 9, (0,) * 10, (1,) * 7)
    with pytest.raises(ValueError, match="not there yet"):
        CellSpec(("none",) * 10, (2, *[0] * 9), (1,) * 7)
