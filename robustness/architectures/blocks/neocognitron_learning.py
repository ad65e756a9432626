"""Learning without a teacher (Fukushima 1980, section 3): representatives of S-columns are reinforced.

A pattern at a time, as published; within a pattern all cells of a layer are computed at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from robustness import seeds
from robustness.architectures.blocks.neocognitron_layers import SLayer


def representatives(responses: Tensor, column: int) -> tuple[Tensor, Tensor]:
    """The cells to reinforce for one pattern: their planes and their places in the flattened map, each (R,).

    ``responses`` is (planes, H, W). An S-column holds the cells of all planes within ``column`` x ``column``
    places; there is one around every place. In every column the cell with the largest response is a
    candidate, if it responds at all; of several candidates in one plane only the largest stays.
    """
    margin = column // 2
    best = F.max_pool2d(responses.amax(dim=0)[None, None], column, 1, margin)
    # A cell is the best of some column if it reaches the least of the maxima of the columns it is in.
    least = -F.max_pool2d(-best, column, 1, margin)[0]
    candidates = torch.where((responses >= least) & (responses > 0), responses, torch.zeros_like(responses))
    largest, places = candidates.flatten(1).max(dim=1)
    (planes,) = torch.nonzero(largest > 0, as_tuple=True)
    return planes, places[planes]


def reinforce(layer: SLayer, patches: Tensor, v: Tensor, planes: Tensor) -> None:
    """Strengthen the inputs of the representatives: da = q c u and db = q/2 v, in place.

    ``patches`` is (R, inputs * side * side), what each representative reads; ``v`` is (R,), its inhibitory
    cell; ``planes`` is (R,), all different.
    """
    change = patches.view(-1, layer.inputs, layer.side, layer.side) * layer.nearness
    layer.excitation.data.index_add_(0, planes, layer.rate * change)
    layer.inhibition.data.index_add_(0, planes, layer.rate / 2 * v)


def fresh_weights(layer: SLayer, generator: torch.Generator, *, oriented: bool) -> None:
    """Initial weights: a small and positive, b zero.

    ``oriented`` planes weakly prefer a line through the centre; from plane to plane it turns, by half a turn
    in all.
    """
    shape = layer.excitation.shape
    values = torch.rand(shape, generator=generator, device="cpu")
    if oriented:
        places = torch.arange(layer.side, device="cpu") - (layer.side - 1) / 2
        angle = torch.arange(layer.planes, device="cpu") * math.pi / layer.planes
        across = places[None, None, :] * angle.sin()[:, None, None] - (
            places[None, :, None] * angle.cos()[:, None, None]
        )
        values = 0.2 * values + torch.exp(-across.square())[:, None]
    layer.excitation.data.copy_(1e-2 * values)
    layer.excitation.data.mul_(layer.nearness)
    layer.inhibition.data.zero_()


@torch.no_grad()
def organise(
    layer: SLayer,
    inputs: Tensor,
    *,
    column: int,
    presentations: int,
    generator: torch.Generator,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Teach one S-layer: ``presentations`` patterns of ``inputs`` (images, planes, H, W), in shuffled rounds.

    ``progress(done, presentations)`` is called now and then.
    """
    order = torch.cat(
        [torch.randperm(len(inputs), generator=generator) for _ in range(-(-presentations // len(inputs)))]
    )
    for done, index in enumerate(order[:presentations].tolist()):
        x = inputs[index : index + 1]
        v = layer.inhibiting(x)
        patches = F.unfold(x, layer.side, padding=layer.padding)[0]
        excited = layer.excitation.flatten(1) @ patches
        responses = layer.respond(excited[None], v.flatten(2), layer.learning_selectivity)[0].view(
            -1, *v.shape[2:]
        )
        planes, places = representatives(responses, column)
        reinforce(layer, patches[:, places].T, v.flatten()[places], planes)
        if progress is not None and done % 100 == 99:
            progress(done + 1, presentations)


def generators(seed: int, stage: int) -> tuple[torch.Generator, torch.Generator]:
    """The generators of a stage's initial weights and of its order of patterns."""
    return (
        seeds.torch_generator(seed, "neocognitron", "weights", stage),
        seeds.torch_generator(seed, "neocognitron", "order", stage),
    )
