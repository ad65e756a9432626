"""Cells of the NASNet search space (Zoph et al. 2018): five pairwise combinations of seven states.

NASNet-A and AmoebaNet-A are two points of this space and differ in nothing but their :class:`Genotype` and
the sizes of the network around them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BN_EPSILON = 1e-3


@dataclass(frozen=True)
class CellSpec:
    """One kind of cell. Operations 2i and 2i+1, applied to the states that ``inputs`` names, are added.

    State 0 is the output of the cell before, squeezed; state 1 that of the one before it; combination i
    makes state i + 2. States whose ``used`` flag is 0 are concatenated at the output.
    """

    operations: tuple[str, ...]
    inputs: tuple[int, ...]
    used: tuple[int, ...]

    def __post_init__(self) -> None:
        if (len(self.operations), len(self.inputs), len(self.used)) != (10, 10, 7):
            raise ValueError("a cell has ten operations, ten inputs and seven flags")
        if any(source >= place // 2 + 2 for place, source in enumerate(self.inputs)):
            raise ValueError("an operation reads a state that is not there yet")

    @property
    def outputs(self) -> int:
        """How many states are concatenated."""
        return self.used.count(0)


@dataclass(frozen=True)
class Genotype:
    """The two cells that a search has found."""

    normal: CellSpec
    reduction: CellSpec


def _same_padding(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """Pad height and width so that ceil(size / stride) windows fit; the odd pixel goes right and below."""
    pads: list[int] = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value)


class SamePool(nn.Module):
    """3x3 ``max`` or ``avg`` pooling whose border counts for nothing. (N, C, H, W) to (N, C, H/s, W/s)."""

    def __init__(self, kind: str, stride: int) -> None:
        super().__init__()
        self.kind, self.stride = kind, stride

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "max":
            return F.max_pool2d(_same_padding(x, 3, self.stride, -torch.inf), 3, self.stride)
        if self.stride == 1:
            return F.avg_pool2d(x, 3, 1, padding=1, count_include_pad=False)
        # Padding is uneven at even sizes, so count the pixels that each window really has.
        total = F.avg_pool2d(_same_padding(x, 3, self.stride), 3, self.stride)
        ones = _same_padding(x.new_ones(1, 1, *x.shape[2:]), 3, self.stride)
        return total / F.avg_pool2d(ones, 3, self.stride)

    def extra_repr(self) -> str:
        return f"{self.kind}, stride={self.stride}"


class SameConv2d(nn.Conv2d):
    """A convolution without a bias that gives ceil(size / stride), like TensorFlow's "SAME"."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride > 1:
            x = _same_padding(x, kernel, stride)
        elif self.groups > 1 and x.shape[-1] < kernel:
            # On a CPU the weight gradient of a depthwise convolution that sees mostly padding takes up to
            # thirty times as long as with the same zeros in the map.
            return F.conv2d(_same_padding(x, kernel, 1), self.weight, groups=self.groups)
        return super().forward(x)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the published epsilon."""
    return nn.BatchNorm2d(channels, eps=BN_EPSILON)


def relu_conv_bn(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """ReLU, 1x1 convolution, batch norm."""
    layers = nn.Sequential()
    layers.add_module("act", nn.ReLU())
    layers.add_module("conv", nn.Conv2d(inputs, outputs, 1, stride, bias=False))
    layers.add_module("bn", batch_norm(outputs))
    return layers


class Separable(nn.Sequential):
    """ReLU, depthwise, pointwise, batch norm, all of it twice; the first depthwise has the stride."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        for turn, (channels, step) in enumerate(((inputs, stride), (outputs, 1)), start=1):
            self.add_module(f"act{turn}", nn.ReLU())
            self.add_module(f"depthwise{turn}", SameConv2d(channels, channels, kernel, step, channels))
            self.add_module(f"pointwise{turn}", nn.Conv2d(channels, outputs, 1, bias=False))
            self.add_module(f"bn{turn}", batch_norm(outputs))


class FactorizedConv(nn.Sequential):
    """The 1x7-7x1 operation, through a bottleneck of a quarter of the channels."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        narrow = max(outputs // 4, 1)
        super().__init__(
            *relu_conv_bn(inputs, narrow),
            nn.ReLU(),
            nn.Conv2d(narrow, narrow, (1, 7), (1, stride), (0, 3), bias=False),
            batch_norm(narrow),
            nn.ReLU(),
            nn.Conv2d(narrow, narrow, (7, 1), (stride, 1), (3, 0), bias=False),
            batch_norm(narrow),
            *relu_conv_bn(narrow, outputs),
        )


class FactorizedReduction(nn.Module):
    """Half of the size from two 1x1 convolutions that read alternate pixels, one shifted by (1, 1)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, outputs // 2, 1, bias=False)
        self.conv2 = nn.Conv2d(inputs, outputs - outputs // 2, 1, bias=False)
        self.bn = batch_norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(x)
        shifted = F.pad(x, (-1, 1, -1, 1))
        return self.bn(torch.cat([self.conv1(x[:, :, ::2, ::2]), self.conv2(shifted[:, :, ::2, ::2])], dim=1))


def operation(name: str, inputs: int, outputs: int, stride: int, drop_path: float) -> nn.Module:
    """One operation of a cell. Raises ValueError for an unknown name."""
    if name == "none":
        return nn.Identity() if stride == 1 and inputs == outputs else relu_conv_bn(inputs, outputs, stride)
    if name in ("avg_3x3", "max_3x3"):
        layer: nn.Module = SamePool(name[:3], stride)
        if inputs != outputs:
            layer = nn.Sequential(layer, nn.Conv2d(inputs, outputs, 1, bias=False), batch_norm(outputs))
    elif name.startswith("sep_"):
        layer = Separable(inputs, outputs, int(name[4]), stride)
    elif name == "1x7_7x1":
        layer = FactorizedConv(inputs, outputs, stride)
    else:
        raise ValueError(f"unknown operation {name}")
    if drop_path > 0:
        from timm.layers import DropPath

        layer = nn.Sequential(layer, DropPath(drop_path))
    return layer


class Cell(nn.Module):
    """One cell. ``forward(current, previous)`` gives (N, spec.outputs * filters, H/stride, W/stride).

    ``previous`` is None for the first stem cell, where state 1 is ``current`` itself, as it is.
    ``previous_stride`` is 2 where ``previous`` is twice as large as ``current``.
    """

    def __init__(
        self,
        spec: CellSpec,
        *,
        current: int,
        previous: int | None,
        filters: int,
        stride: int,
        previous_stride: int,
        drop_path: float,
    ) -> None:
        super().__init__()
        if stride > 1 and 0 in spec.used[:2]:
            raise ValueError("a reduction cell must use both its inputs")
        self.spec = spec
        self.squeeze = relu_conv_bn(current, filters)
        self.adapt: nn.Module = nn.Identity()
        channels = [filters, filters]
        if previous is None:
            channels[1] = current
        elif previous_stride == 2:
            self.adapt = FactorizedReduction(previous, filters)
        elif previous != filters:
            self.adapt = relu_conv_bn(previous, filters)
        self.operations = nn.ModuleList(
            operation(
                name,
                channels[source] if source < 2 else filters,
                filters,
                stride if source < 2 else 1,
                drop_path,
            )
            for name, source in zip(spec.operations, spec.inputs, strict=True)
        )
        self.channels = spec.outputs * filters

    def forward(self, current: Tensor, previous: Tensor | None) -> Tensor:
        states = [self.squeeze(current), self.adapt(current if previous is None else previous)]
        inputs = self.spec.inputs
        for left, right in zip(range(0, 10, 2), range(1, 10, 2), strict=True):
            states.append(
                self.operations[left](states[inputs[left]]) + self.operations[right](states[inputs[right]])
            )
        return torch.cat(
            [state for state, used in zip(states, self.spec.used, strict=True) if not used], dim=1
        )
