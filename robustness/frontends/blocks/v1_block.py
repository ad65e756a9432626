"""The VOneBlock (Dapello et al. 2020): Gabor filter bank, simple and complex cells, stochasticity."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustness.frontends.blocks.gabor_filters import GaborParameters
from robustness.frontends.blocks.noise import Noise
from robustness.frontends.blocks.responses import Block, blocks_of, respond
from robustness.frontends.blocks.spectral import SpectralPlan, cheapest_axes

SQRT_CONSTANT = 1e-6
"""Inside the root of the complex cells: √ has an infinite slope at 0, and a grey patch answers exactly 0."""

METHODS = ("auto", "spectral", "direct")


class V1Block(nn.Module):
    """Images (N, C, H, W), normalised → responses (draws·N, simple + complex, height, width), ≥ 0.

    simple cell: gain·relu(q0); complex cell: gain·√((q0² + q1²)/2) of a quadrature pair
    (Dapello et al. 2020).

    filters: float32 (simple + 2·complex, kernel, kernel): simple cells, then q0 of the complex cells, then
        their q1. Every cell reads one input channel, `colours` int64 (simple + complex,), sorted within
        the simple and within the complex cells.
    geometry: (stride, offset, size) for rows and columns: output i has its centre at pixel offset + stride·i.
    image_size: the image side that the geometry is for; at another one the filters and the stride keep their
        pixels and the number of positions grows with the side. None: for images of any size as it is.
    trained: the filters are trainable.
    cells: the parameters that the filters were made of, one row per cell, or None for random filters.

    `method` says how the filters are applied: ``spectral`` (see :mod:`~.spectral`), ``direct`` (a
    convolution for each input channel) or ``auto``: spectral on the CPU, direct elsewhere.
    """

    def __init__(
        self,
        filters: Tensor,
        colours: Tensor,
        *,
        simple_channels: int,
        gain: float,
        geometry: tuple[tuple[int, int, int], tuple[int, int, int]],
        noise: Noise | None,
        image_size: int | None = None,
        trained: bool = False,
        cells: GaborParameters | None = None,
    ) -> None:
        super().__init__()
        self.simple_channels, self.complex_channels = simple_channels, len(colours) - simple_channels
        self.gain, self.geometry, self.cells, self.method = gain, geometry, cells, "auto"
        self.image_size = image_size
        self.filters = nn.Parameter(filters, requires_grad=trained)
        self.register_buffer("colours", colours)
        self.noise = noise
        self._transformed: dict[bool, tuple[tuple, SpectralPlan, list[Block], list[Tensor]]] = {}

    def train(self, mode: bool = True) -> V1Block:
        # A fused optimiser does not raise the filters' version: their transform is kept within one mode.
        self._transformed.clear()
        return super().train(mode)

    def forward(self, images: Tensor) -> Tensor:
        responses = self.respond(images)
        return responses if self.noise is None else self.noise(responses, reuse=True)

    def respond(self, images: Tensor) -> Tensor:
        """The cells' responses without noise: (N, simple + complex, height, width)."""
        if self._is_spectral(images):
            return respond(images, *self._transform(images.shape[-2:]), self.gain**2 * SQRT_CONSTANT)
        simple, first, second = self._convolve(images).split(
            [self.simple_channels, self.complex_channels, self.complex_channels], dim=1
        )
        energy = (first**2 + second**2) / 2 + SQRT_CONSTANT
        return self.gain * torch.cat([simple.relu(), energy.sqrt()], dim=1)

    def filter(self, images: Tensor) -> Tensor:
        """The filters' outputs, without gain: (N, simple + 2·complex, height, width)."""
        if self._is_spectral(images):
            return respond(images, *self._transform(images.shape[-2:], linear=True), 0.0)
        return self._convolve(images)

    def _is_spectral(self, images: Tensor) -> bool:
        return images.device.type == "cpu" if self.method == "auto" else self.method == "spectral"

    def _geometry_at(self, size: torch.Size) -> list[tuple[int, int, int]]:
        """(stride, offset, size) for the rows and columns of images of that height and width."""
        axes = []
        for extent, axis in zip(size, self.geometry, strict=True):
            if self.image_size not in (None, extent):
                stride, _, count = axis
                count = math.ceil(count * extent / self.image_size)
                axis = (stride, placement(extent, count, stride), count)
            axes.append(axis)
        return axes

    def _convolve(self, images: Tensor) -> Tensor:
        """A convolution for each input channel, with the filters that read it."""
        reach = self.filters.shape[-1] // 2
        pad: list[int] = []
        geometry = self._geometry_at(images.shape[-2:])
        for (stride, offset, count), extent in zip(geometry[::-1], images.shape[:1:-1], strict=True):
            pad += [reach - offset, stride * (count - 1) + offset + reach + 1 - extent]
        padded = functional.pad(images, pad)
        strides = (self.geometry[0][0], self.geometry[1][0])
        order, parts = [], []
        for colour, filters in enumerate(self._filters_by_colour(images.shape[1])):
            channel = padded[:, colour : colour + 1]
            order.append(filters)
            parts.append(functional.conv2d(channel, self.filters[filters, None], stride=strides))
        return torch.cat(parts, dim=1)[:, torch.cat(order).argsort()]

    @property
    def filter_colours(self) -> Tensor:
        """The input channel that each filter reads: int64 (simple + 2·complex,)."""
        return torch.cat([self.colours, self.colours[self.simple_channels :]])

    def _filters_by_colour(self, channels: int) -> list[Tensor]:
        return [(self.filter_colours == colour).nonzero().flatten() for colour in range(channels)]

    def _transform(
        self, size: torch.Size, *, linear: bool = False
    ) -> tuple[SpectralPlan, list[Block], list[Tensor]]:
        """The filters in frequencies: kept while neither they nor the images' size change."""
        trained = self.filters.requires_grad and torch.is_grad_enabled()
        key = (tuple(size), self.filters.data_ptr(), self.filters._version, self.filters.dtype)
        kept = self._transformed.get(linear)
        if kept is not None and kept[0] == key and not trained:
            return kept[1:]
        # Kept tensors may serve a backward pass later: they must not be those of an inference mode.
        with torch.inference_mode(mode=False), torch.set_grad_enabled(trained):
            made = self._make_transform(size, linear, trained)
        if not trained:
            self._transformed[linear] = (key, *made)
        return made

    def _make_transform(
        self, size: torch.Size, linear: bool, trained: bool
    ) -> tuple[SpectralPlan, list[Block], list[Tensor]]:
        axes = ((extent, *axis) for extent, axis in zip(size, self._geometry_at(size), strict=True))
        plan = SpectralPlan(*cheapest_axes(*axes, self.filters.shape[-1] // 2), self.filters.device)
        blocks, spectra = [], []
        for block, filters in self._blocks(linear):
            factor = 1.0 if linear else self.gain / math.sqrt(2) if block.kind == "complex" else self.gain
            blocks.append(block)
            spectra.append(plan.spectrum(factor * self.filters[filters], precise=not trained))
        return plan, blocks, spectra

    def _blocks(self, linear: bool) -> list[tuple[Block, Tensor]]:
        """The blocks, each with the indices of its filters."""
        simple, cells = self.simple_channels, len(self.colours)
        if linear:
            starts = [
                (0, self.colours[:simple]),
                (simple, self.colours[simple:]),
                (cells, self.colours[simple:]),
            ]
            return [
                (block, start + chosen)
                for start, colours in starts
                for block, chosen in blocks_of("linear", colours, start)
            ]
        blocks = blocks_of("simple", self.colours[:simple], 0)
        for block, chosen in blocks_of("complex", self.colours[simple:], simple):
            blocks.append((block, torch.cat([simple + chosen, cells + chosen])))
        return blocks

    def extra_repr(self) -> str:
        rows, columns = self.geometry
        return (
            f"simple={self.simple_channels}, complex={self.complex_channels}, "
            f"kernel={self.filters.shape[-1]}, stride={rows[0]}, size={rows[2]}x{columns[2]}"
        )


def placement(extent: int, count: int, stride: int) -> int:
    """Centre pixel of the first of `count` positions, `stride` pixels apart, on an axis of `extent` pixels.

    0 where the published padding (half a filter on both sides) gives this count; else the grid is centred,
    as in an unpadded convolution.
    """
    if math.ceil(extent / stride) == count:
        return 0
    return (extent - 1 - stride * (count - 1)) // 2
