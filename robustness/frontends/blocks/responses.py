"""Responses of a bank of filters in one pass: filtering, then simple and complex cells, block by block.

A block is a few dozen filters that read one colour channel, small enough for its numbers to stay in the
processor's cache from the first product to the cells' responses. The backward pass runs the transposed
transforms, once, whatever happened to the responses after this step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from robustness.frontends.blocks.spectral import SpectralPlan

BLOCK_FILTERS = 32
CACHE_BYTES = 3 * 2**20
"""Size that one block's products may have."""

KINDS = ("linear", "simple", "complex")


@dataclass(frozen=True)
class Block:
    """Cells of one kind that read one channel: output channels [start, stop).

    ``linear``: the filter's output itself; ``simple``: relu; ``complex``: √(a² + b² + floor) of a pair, whose
    first filters all come before the second ones.
    """

    kind: str
    colour: int
    start: int
    stop: int


def blocks_of(kind: str, colours: Tensor, first_channel: int) -> list[tuple[Block, Tensor]]:
    """Cut cells into blocks; gives each block with its cells' indices.

    Raises ValueError if `colours` (cells,) is not sorted: a block's cells are neighbours in the output.
    """
    if (colours.diff() < 0).any():
        raise ValueError("the cells of a V1 block must be sorted by the channel that they read")
    limit = BLOCK_FILTERS // 2 if kind == "complex" else BLOCK_FILTERS
    blocks = []
    for colour in colours.unique().tolist():
        cells = (colours == colour).nonzero().flatten()
        count = -(-len(cells) // limit)
        size = -(-len(cells) // count)
        size += -size % (limit // 4)  # the products are fastest for multiples of eight filters
        for part in cells.split(size):
            start = first_channel + int(part[0])
            blocks.append((Block(kind, colour, start, start + len(part)), part))
    return blocks


def respond(
    images: Tensor, plan: SpectralPlan, blocks: list[Block], spectra: list[Tensor], floor: float
) -> Tensor:
    """Images (N, C, H, W) → responses (N, channels, height, width) of the plan's geometry.

    spectra: one for each block, as plan.spectrum gives it, with every factor on the filters included.
    """
    with torch.autocast(images.device.type, enabled=False):
        maps = _Respond.apply(images, plan, blocks, floor, *spectra)
    return maps[:, :, : plan.row.count, : plan.column.count]


class _Respond(torch.autograd.Function):
    """The outputs cover whole tiles: at the ends of the axes they may go past the plan's count."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        images: Tensor,
        plan: SpectralPlan,
        blocks: list[Block],
        floor: float,
        *spectra: Tensor,
    ) -> Tensor:
        row, column = plan.row, plan.column
        channels = max(block.stop for block in blocks)
        maps = images.new_empty(
            len(images), channels, row.tiles * row.tile, column.tiles * column.tile, dtype=spectra[0].dtype
        )
        batches = _batches(len(images), plan)
        keep = any(ctx.needs_input_grad)
        pairs: dict[tuple[int, int], Tensor] = {}
        analysed = {}
        for index, (block, spectrum) in enumerate(zip(blocks, spectra, strict=True)):
            if block.colour not in analysed:
                if not keep:
                    analysed.clear()  # the blocks come sorted by colour within a kind
                channel = images[:, block.colour].to(maps.dtype)
                analysed[block.colour] = [plan.analyse(channel[batch]) for batch in batches]
            for number, batch in enumerate(batches):
                filtered = plan.synthesise(analysed[block.colour][number], spectrum)
                if keep and block.kind == "complex":
                    pairs[index, number] = filtered
                _respond_into(
                    _tiles(maps, plan, block, batch), filtered, block.kind, floor, in_place=not keep
                )
        ctx.plan, ctx.blocks, ctx.batches, ctx.pairs = plan, blocks, batches, pairs
        ctx.analysed = analysed if any(ctx.needs_input_grad[4:]) else None
        ctx.images = images.shape, images.dtype
        ctx.save_for_backward(maps, *spectra)
        return maps

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast(gradient.device.type, enabled=False):
            return _backward(ctx, gradient.contiguous())


def _backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
    maps, *spectra = ctx.saved_tensors
    plan: SpectralPlan = ctx.plan
    shape, dtype = ctx.images
    for_images, for_spectra = ctx.needs_input_grad[0], ctx.needs_input_grad[4:]
    spectra_gradients: list[Tensor | None] = [
        torch.zeros_like(s) if wanted else None for s, wanted in zip(spectra, for_spectra, strict=True)
    ]
    image_gradient = gradient.new_zeros(shape) if for_images else None
    for number, batch in enumerate(ctx.batches):
        totals: dict[int, Tensor] = {}
        for index, (block, spectrum) in enumerate(zip(ctx.blocks, spectra, strict=True)):
            filtered = _filtered_gradient(
                _tiles(gradient, plan, block, batch),
                _tiles(maps, plan, block, batch),
                block.kind,
                ctx.pairs.get((index, number)),
            )
            products = plan.synthesise_adjoint(filtered)
            if spectra_gradients[index] is not None:
                frequencies = ctx.analysed[block.colour][number]
                spectra_gradients[index].baddbmm_(frequencies.transpose(1, 2), products)
            if not for_images:
                continue
            if block.colour not in totals:
                totals[block.colour] = torch.bmm(products, spectrum.transpose(1, 2))
            else:
                totals[block.colour].baddbmm_(products, spectrum.transpose(1, 2))
        for colour, total in totals.items():
            size = torch.Size((batch.stop - batch.start, *shape[2:]))
            image_gradient[batch, colour] = plan.analyse_adjoint(total, size)
    if image_gradient is not None:
        image_gradient = image_gradient.to(dtype)
    return image_gradient, None, None, None, *spectra_gradients


def _batches(images: int, plan: SpectralPlan) -> list[slice]:
    columns = CACHE_BYTES / (8 * plan.bins)
    size = max(1, int(columns / BLOCK_FILTERS / (plan.row.tiles * plan.column.tiles)))
    count = max(1, -(-images // size))
    size = max(1, -(-images // count))
    return [slice(start, min(start + size, images)) for start in range(0, images, size)]


def _tiles(maps: Tensor, plan: SpectralPlan, block: Block, batch: slice) -> Tensor:
    """A block's part of maps (N, C, height, width), seen as (n, tiles, tiles, cells, T, T)."""
    row, column = plan.row, plan.column
    part = maps[batch, block.start : block.stop]
    part = part.unflatten(3, (column.tiles, column.tile)).unflatten(2, (row.tiles, row.tile))
    return part.permute(0, 2, 4, 1, 3, 5)


def _respond_into(target: Tensor, filtered: Tensor, kind: str, floor: float, *, in_place: bool) -> None:
    """Filter outputs (n·tiles, filters, T, T) → the cells' responses, written to `target`."""
    filtered = filtered.unflatten(0, target.shape[:3])
    if kind == "linear":
        target.copy_(filtered)
    elif kind == "simple":
        torch.clamp_min(filtered, 0, out=target)
    else:
        first, second = filtered.chunk(2, dim=3)
        energy = first.mul_(first) if in_place else first * first
        torch.sqrt(energy.addcmul_(second, second).add_(floor), out=target)


def _filtered_gradient(gradient: Tensor, maps: Tensor, kind: str, pair: Tensor | None) -> Tensor:
    """Gradient at the cells' responses → gradient at the filters' outputs (T, n·tiles, filters, T)."""
    *tiles, cells, height, width = gradient.shape
    filters = 2 * cells if kind == "complex" else cells
    result = gradient.new_empty(height, *tiles, filters, width)
    target = result.permute(1, 2, 3, 4, 0, 5)
    if kind == "linear":
        target.copy_(gradient)
    elif kind == "simple":
        torch.gt(maps, 0, out=target)
        target.mul_(gradient)
    else:
        first, second = pair.unflatten(0, tiles).chunk(2, dim=3)
        into_first, into_second = target.chunk(2, dim=3)
        torch.div(gradient, maps, out=into_first)
        torch.mul(into_first, second, out=into_second)
        into_first.mul_(first)
    return result.flatten(1, 3)
