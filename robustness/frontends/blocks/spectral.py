"""Strided convolution of one image channel with many large fixed filters, by small discrete transforms.

With stride s an image splits into s×s phases (every s-th pixel of every s-th line), and the output is the
sum of the phases' convolutions with the phases of the filters. In the frequencies of a tile of T×T outputs
that is, for each of m×m/2 frequencies, a complex product of an (images × s²) with an (s² × filters) matrix;
then m×m frequencies go back to T×T outputs. All transforms are small matrix products, which suits a CPU
better than a fast Fourier transform of this size, and the data stay laid out (frequency, image, filter) from
the first product to the last, so that nothing is transposed on the way. Exact up to rounding: no filter is
approximated.

Output i of an axis has its centre at pixel offset + stride·i; pixels outside the image are 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import conv2d


@dataclass(frozen=True)
class AxisPlan:
    """One axis: `count` outputs in `tiles` tiles. A tile reads a window of the image, whole strides long."""

    extent: int
    stride: int
    offset: int
    count: int
    reach: int
    tiles: int

    @property
    def tile(self) -> int:
        """Outputs of one tile."""
        return -(-self.count // self.tiles)

    @property
    def first(self) -> int:
        """First pixel of the first tile's window; the next tile's is tile·stride further."""
        return 0 if self.tiles == 1 else self.offset - self.reach

    @property
    def steps(self) -> int:
        """Length of the window in strides."""
        pixels = self.extent if self.tiles == 1 else self.stride * (self.tile - 1) + 2 * self.reach + 1
        return -(-pixels // self.stride)

    @property
    def taps(self) -> Tensor:
        """(stride, taps): tap v of phase p reads filter element reach + taps[p, v], valid in ±reach."""
        low, high = self._tap_range()
        centre = self.offset - self.first
        return self.stride * torch.arange(low, high + 1) + torch.arange(self.stride)[:, None] - centre

    @property
    def lowest_tap(self) -> int:
        return self._tap_range()[0]

    @property
    def frequencies(self) -> int:
        """Fewest for which what wraps around meets no pixel of the window; odd, so that ±k are pairs."""
        low, high = self._tap_range()
        fewest = max(self.steps - low, self.tile + high)
        return fewest + 1 - fewest % 2

    def _tap_range(self) -> tuple[int, int]:
        centre = self.offset - self.first
        low = -(-(centre - self.reach - self.stride + 1) // self.stride)
        return low, (centre + self.reach) // self.stride

    def angles(self, frequencies: Tensor, positions: Tensor) -> Tensor:
        """2π·frequency·position over the transform's length, float64."""
        return 2 * math.pi / self.frequencies * torch.outer(frequencies.double(), positions.double())


def cheapest_axes(
    rows: tuple[int, int, int, int], columns: tuple[int, int, int, int], reach: int
) -> tuple[AxisPlan, AxisPlan]:
    """The tiling with the lowest estimated cost; an axis is (extent, stride, offset, count)."""
    axes = [
        [AxisPlan(*axis, reach, tiles) for tiles in range(1, max(2, axis[3] // 6))]
        for axis in (rows, columns)
    ]
    return min(product(*axes), key=lambda pair: _cost(*pair))


def _cost(row: AxisPlan, column: AxisPlan) -> float:
    """Real multiplications for all outputs of one filter; fitted to measurements of the speed of each step.

    The products of phases run at half the speed of the transforms back, which lose some on short axes.
    """
    bins = row.frequencies * (column.frequencies // 2 + 1)
    products = 8 * bins * (row.stride * column.stride + 4)
    rows_back = 4 * (row.tile + 8) * (row.frequencies + 40) * (column.frequencies // 2 + 1)
    columns_back = row.tile * column.tile * (column.frequencies + 40)
    spectrum = 8 * bins * row.stride * column.stride  # read once for a batch, from far memory if it is large
    return row.tiles * column.tiles * (products + rows_back + columns_back) + spectrum


class SpectralPlan:
    """The transforms of one geometry, as float32 matrices. Filters come in by :meth:`spectrum`.

    Sizes below: n images times tiles, T×T outputs a tile, u steps of the window, m row frequencies,
    q = m//2 + 1 column frequencies, stride² phases, f filters.
    """

    def __init__(self, row: AxisPlan, column: AxisPlan, device: torch.device | None = None) -> None:
        self.row, self.column = row, column
        self.phases = row.stride * column.stride
        self.row_frequencies = torch.arange(row.frequencies)
        self.column_frequencies = torch.arange(column.frequencies // 2 + 1)
        self.bins = len(self.row_frequencies) * len(self.column_frequencies)

        angle = column.angles(self.column_frequencies, torch.arange(column.steps))
        self.columns_in = _stacked([angle.cos(), -angle.sin()], rows=1)
        angle = row.angles(self.row_frequencies, torch.arange(row.steps))
        cosine, sine = angle.cos(), angle.sin()
        # Real line: (cos, sin) on (real, imaginary) of the column step; imaginary line: (−sin, cos).
        self.rows_in = _stacked([torch.cat([cosine, sine], 1), torch.cat([-sine, cosine], 1)], rows=1)

        angle = row.angles(torch.arange(row.tile), self.row_frequencies)
        cosine, sine = angle.cos(), angle.sin()
        real, imaginary = (
            torch.stack([cosine, -sine], 2).flatten(1),
            torch.stack([sine, cosine], 2).flatten(1),
        )
        self.rows_out = torch.cat([real, imaginary]).float() / (row.frequencies * column.frequencies)
        angle = column.angles(torch.arange(column.tile), self.column_frequencies)
        twice = torch.where(self.column_frequencies == 0, 1.0, 2.0).double()
        self.columns_out = torch.stack([angle.cos() * twice, -angle.sin() * twice], 2).flatten(1).float()
        for name in ("columns_in", "rows_in", "rows_out", "columns_out"):
            setattr(self, name, getattr(self, name).to(device))

    def spectrum(self, filters: Tensor, precise: bool = True) -> Tensor:
        """Filters (f, k, k) → (m·q, 2·phases, f), real then imaginary part, in the dtype of the filters.

        Differentiable. `precise` computes in float64: for a bank that is transformed once.
        """
        size, values = filters.shape[-1], filters.double() if precise else filters
        for axis in (self.row, self.column):
            taps = axis.taps.to(filters.device) + size // 2
            inside = (taps >= 0) & (taps < size)
            # (f, k, …) → (f, …, phases, taps): the row axis first, then the column axis.
            values = values.movedim(1, -1)[..., taps.clamp(0, size - 1)] * inside
        transforms = []
        for axis, frequencies in ((self.row, self.row_frequencies), (self.column, self.column_frequencies)):
            angle = axis.angles(frequencies, torch.arange(axis.taps.shape[1]) + axis.lowest_tap)
            # Correlation: the conjugate of the filters' transform, hence e^(+i·angle).
            transform = torch.polar(torch.ones_like(angle), angle).to(filters.device)
            transforms.append(transform if precise else transform.to(torch.complex64))
        values = torch.einsum(
            "ku,faubv,lv->lkabf", transforms[0], values.to(transforms[0].dtype), transforms[1]
        )
        values = values.reshape(self.bins, self.phases, -1)
        return torch.cat([values.real, values.imag], dim=1).to(filters.dtype)

    def analyse(self, images: Tensor) -> Tensor:
        """One channel (N, H, W) → (m·q, 2·n, 2·phases), real matrices that multiply the filters' spectrum.

        Lines: for the real, then for the imaginary part of the product. Columns: what meets the real, then
        what meets the imaginary part of the filters.
        """
        windows = self._windows(images)
        u, count, q = self.row.steps, windows.shape[2], len(self.column_frequencies)
        lines = conv2d(windows.reshape(1, 1, self.column.steps, -1), _kernel(self.columns_in, windows))
        lines = conv2d(lines.view(q, 1, 2 * u, -1), _kernel(self.rows_in, windows))
        lines = lines.view(q, -1, 2, count, self.phases)
        packed = images.new_empty(q, len(self.row_frequencies), 2, count, 2, self.phases)
        packed[..., 0, :] = lines
        torch.neg(lines[:, :, 1], out=packed[:, :, 0, :, 1])
        packed[:, :, 1, :, 1] = lines[:, :, 0]
        return packed.view(self.bins, 2 * count, 2 * self.phases)

    def analyse_adjoint(self, gradient: Tensor, shape: torch.Size) -> Tensor:
        """Transpose of :meth:`analyse`: to images of `shape` (N, H, W)."""
        u, count, q = self.row.steps, gradient.shape[1] // 2, len(self.column_frequencies)
        packed = gradient.view(q, len(self.row_frequencies), 2, count, 2, self.phases)
        lines = packed[..., 0, :].contiguous()
        lines[:, :, 0] += packed[:, :, 1, :, 1]
        lines[:, :, 1] -= packed[:, :, 0, :, 1]
        lines = conv2d(lines.view(q, 1, 2 * len(self.row_frequencies), -1), _kernel(self.rows_in.T, lines))
        windows = conv2d(lines.view(1, 1, 2 * q, -1), _kernel(self.columns_in.T, lines))
        return self._windows_adjoint(windows.view(self.column.steps, u, count, self.phases), shape)

    def synthesise(self, frequencies: Tensor, spectrum: Tensor) -> Tensor:
        """What :meth:`analyse` gives, filters' spectrum (m·q, 2·phases, f) → outputs (n, f, T, T).

        Both transforms back are written as convolutions with one input channel, whose kernel covers all
        frequencies of an axis: on a CPU that is up to three times faster than a batched product.
        """
        count, filters, q = frequencies.shape[1] // 2, spectrum.shape[2], len(self.column_frequencies)
        products = torch.bmm(frequencies, spectrum).view(q, 1, 2 * self.row.frequencies, count * filters)
        lines = conv2d(products, _kernel(self.rows_out, products))
        # The lines of one column frequency lie tile apart: a dilated kernel reads them, output by output.
        lines = lines.view(1, 2 * q * self.row.tile, count * filters, 1).permute(0, 3, 1, 2)
        kernel = _kernel(self.columns_out, products)
        outputs = conv2d(_channels_last(lines), _channels_last(kernel), dilation=(self.row.tile, 1))
        return outputs.view(self.column.tile, self.row.tile, count, filters).permute(2, 3, 1, 0)

    def synthesise_adjoint(self, gradient: Tensor) -> Tensor:
        """Transpose of the steps of :meth:`synthesise` after the products: (T, n, f, T) → (m·q, 2·n, f).

        The gradient's axes are row, image, filter, column: the layout in which synthesise computes.
        """
        rows, count, filters, columns = gradient.shape
        q = len(self.column_frequencies)
        matrix = self.columns_out.T.to(gradient.dtype).expand(rows, -1, -1)
        lines = torch.bmm(matrix, gradient.reshape(rows, count * filters, columns).transpose(1, 2))
        lines = lines.transpose(0, 1).reshape(q, 1, 2 * rows, count * filters)
        products = conv2d(lines, _kernel(self.rows_out.T, lines))
        return products.view(self.bins, 2 * count, filters)

    def _windows(self, images: Tensor) -> Tensor:
        """(N, H, W) → (column steps, row steps, N·tiles, phases)."""
        row, column = self.row, self.column
        padded = torch.nn.functional.pad(images, self._padding())
        windows = padded.unfold(1, row.steps * row.stride, row.tile * row.stride)
        windows = windows.unfold(2, column.steps * column.stride, column.tile * column.stride)
        split = windows.unflatten(4, (column.steps, column.stride)).unflatten(3, (row.steps, row.stride))
        return split.permute(5, 3, 0, 1, 2, 4, 6).reshape(column.steps, row.steps, -1, self.phases)

    def _windows_adjoint(self, gradient: Tensor, shape: torch.Size) -> Tensor:
        left, right, top, bottom = self._padding()
        row, column = self.row, self.column
        padded = gradient.new_zeros(shape[0], shape[1] + top + bottom, shape[2] + left + right)
        parts = gradient.view(
            column.steps, row.steps, shape[0], row.tiles, column.tiles, row.stride, column.stride
        )
        for i, j in product(range(row.tiles), range(column.tiles)):
            y, x = i * row.tile * row.stride, j * column.tile * column.stride
            window = padded[:, y : y + row.steps * row.stride, x : x + column.steps * column.stride]
            window = window.unflatten(2, (column.steps, column.stride)).unflatten(1, (row.steps, row.stride))
            window += parts[:, :, :, i, j].permute(2, 1, 3, 0, 4)
        return padded[:, top : top + shape[1], left : left + shape[2]]

    def _padding(self) -> list[int]:
        pad = []
        for axis in (self.column, self.row):
            last = axis.first + (axis.tiles - 1) * axis.tile * axis.stride + axis.steps * axis.stride
            pad += [-axis.first, last - axis.extent]
        return pad


def _stacked(parts: list[Tensor], rows: int) -> Tensor:
    """Rows of the parts in turn, float32."""
    return torch.stack(parts, dim=rows).flatten(0, 1).float().contiguous()


def _kernel(matrix: Tensor, like: Tensor) -> Tensor:
    """A matrix as the kernel of a convolution over columns of numbers: (rows, 1, columns, 1)."""
    return matrix.to(like.dtype)[:, None, :, None]


def _channels_last(single: Tensor) -> Tensor:
    """The same memory, one channel, with the strides by which torch tells a channels-last layout."""
    height, width = single.shape[2:]
    return single.as_strided(single.shape, (height * width, 1, width, 1))
