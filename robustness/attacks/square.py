"""Square Attack (Andriushchenko, Croce, Flammarion & Hein, ECCV 2020): random search, no gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from robustness.attacks import geometry, losses
from robustness.attacks.attacked_model import Answer
from robustness.attacks.iterative import IterativeAttack, State
from robustness.attacks.registry import register

_SHARE = 0.8  # of the image that the first squares cover
_HALVINGS = (
    10,
    50,
    200,
    500,
    1000,
    2000,
    4000,
    6000,
    8000,
)  # of 10,000 queries: then it is halved (section 4.1)
_TILES = 5  # the first L2 point has about this many bumps along a side


class Square(IterativeAttack):
    """Changes one random square at a time and keeps the change if the margin grows.

    L∞ (algorithm 2): the square's channels become ±ε. L2 (algorithm 3): two bumps of opposite sign are
    added to a square and take the perturbation of a second square with them.

    Args:
        norm: linf or l2.
        steps: queries after the first; the paper uses 5,000.
    """

    uses_gradient = False

    def __init__(self, *, norm: str = "linf", steps: int = 5000) -> None:
        self.norm = geometry.check_norm(norm, ("linf", "l2"), who="square")
        self.steps = steps

    def side(self, step: Tensor, height: int, width: int) -> Tensor:
        """(n,) int64: the side of the square at each step, in pixels; odd and at least 3 for L2."""
        marks = torch.tensor(_HALVINGS, device=step.device)
        halvings = (step[:, None] * (10_000 / max(1, self.steps)) > marks).sum(1)
        side = (_SHARE * 0.5**halvings * height * width).sqrt().round().long()
        if self.norm == "l2":
            side = side.clamp_min(3)
            return (side + 1 - side % 2).clamp_max(min(height, width))
        return side.clamp(1, max(1, min(height, width) - 1))

    def start(
        self, x0: Tensor, y: Tensor, seeds: Tensor, epsilon: float, restart: Tensor, logits: Tensor | None
    ) -> State:
        count, channels, height, width = x0.shape
        numbers = torch.empty(count, self.steps + 1, 5 + channels)
        signs = torch.empty(count, channels, height, width)
        for row, seed in enumerate(seeds.tolist()):
            generator = torch.Generator().manual_seed(seed)
            numbers[row].uniform_(generator=generator)
            signs[row] = torch.randint(0, 2, (channels, height, width), generator=generator) * 2.0 - 1
        signs = torch.empty_like(x0).copy_(signs)
        if self.norm == "linf":  # vertical stripes, one pixel wide
            x = (x0 + epsilon * signs[:, :, :1]).clamp_(0, 1)
        else:
            bumps = self._tiling(height, width).to(x0) * _blocks(signs, height // _TILES)
            x = (x0 + epsilon * bumps / geometry.widen(geometry.size(bumps, "l2"), bumps)).clamp_(0, 1)
        unset = torch.full((count,), -torch.inf, device=x0.device)
        edges = self.edges(x0, epsilon)
        return edges | {"x": x, "best": x.clone(), "best_value": unset, "numbers": numbers.to(x0)}

    def loss(self, logits: Tensor, y: Tensor, state: State) -> Tensor:
        return losses.margin(logits, y)

    def update(self, state: State, x0: Tensor, answer: Answer, step: Tensor, epsilon: float) -> None:
        better = answer.value > state["best_value"]
        geometry.keep_rows(state["best"], state["x"], better)
        state["best_value"] = torch.where(better, answer.value, state["best_value"])
        numbers = state["numbers"].gather(1, step.view(-1, 1, 1).expand(-1, 1, state["numbers"].shape[2]))[
            :, 0
        ]
        side = self.side(step, *x0.shape[2:])
        if self.norm == "linf":
            state["x"] = self._propose_linf(state, numbers, side)
        else:
            state["x"] = self._propose_l2(state["best"], x0, numbers, side, epsilon)

    def _propose_linf(self, state: State, numbers: Tensor, side: Tensor) -> Tensor:
        best, low, high = state["best"], state["low"], state["high"]
        rows, columns = _offsets(numbers[:, :2], side, best)
        inside = _inside(rows, side)[:, None, :, None] & _inside(columns, side)[:, None, None, :]
        down = (numbers[:, 5:] < 0.5)[:, :, None, None]
        # out=: the masks would give the images another memory layout than the model's
        edge = torch.where(down, low, high, out=torch.empty_like(best))
        return torch.where(inside, edge, best, out=edge)

    def _propose_l2(self, best: Tensor, x0: Tensor, numbers: Tensor, side: Tensor, epsilon: float) -> Tensor:
        delta = best - x0
        rows, columns = _offsets(numbers[:, :2], side, x0)
        new = (_inside(rows, side)[:, :, None] & _inside(columns, side)[:, None, :])[:, None]
        other_rows, other_columns = _offsets(numbers[:, 2:4], side, x0)
        old = (_inside(other_rows, side)[:, :, None] & _inside(other_columns, side)[:, None, :])[:, None]
        bump = self._bump(rows, columns, side, numbers[:, 4] < 0.5)[:, None]
        signs = torch.where(numbers[:, 5:] < 0.5, -1.0, 1.0)[:, :, None, None]

        unused = (epsilon**2 - delta.square().sum((1, 2, 3))).clamp_min(0) / x0.shape[1]
        available = ((delta.square() * (new | old)).sum((2, 3)) + unused[:, None]).sqrt()[:, :, None, None]
        within = delta * new
        mixed = signs * bump + within / _length(within)
        delta = torch.where(new, mixed / _length(mixed) * available, delta * ~old)
        return geometry.project(x0 + delta, x0, epsilon, "l2")

    def _bump(self, rows: Tensor, columns: Tensor, side: Tensor, turned: Tensor) -> Tensor:
        """(n, H, W) of size 1: two bumps of opposite sign that fill the square (equation 2 of the paper)."""
        a, b = rows[:, :, None], columns[:, None, :]
        turn = turned[:, None, None]
        a, b = torch.where(turn, b, a), torch.where(turn, a, b)
        side = side[:, None, None]
        inside = (a >= 0) & (a < side) & (b >= 0) & (b < side)
        half = side // 2
        first = a < half
        height = torch.where(first, half, side - half)
        ring = torch.maximum((torch.where(first, a, a - half) - height // 2).abs(), (b - half).abs())
        sums = _inverse_squares(int(side.max()) + 2).to(rows.device)
        value = (sums[half + 1] - sums[ring.clamp(0, len(sums) - 1)]).clamp_min(0)
        value = value * torch.where(first, 1.0, -1.0) * inside
        return value / _length(value[:, None])[:, 0]

    def _tiling(self, height: int, width: int) -> Tensor:
        """(1, 1, H, W) of bumps, one for each tile of the image."""
        tile = max(1, height // _TILES)
        rows, columns = torch.arange(height) % tile, torch.arange(width) % tile
        ring = torch.maximum((rows - tile // 2).abs()[:, None], (columns - tile // 2).abs()[None, :])
        sums = _inverse_squares(tile + 2)
        return (sums[tile // 2 + 1] - sums[ring]).clamp_min(1e-3)[None, None]


def _blocks(signs: Tensor, tile: int) -> Tensor:
    """One random sign for each tile and channel, from a sign for each pixel."""
    tile = max(1, tile)
    rows = torch.arange(signs.shape[2], device=signs.device) // tile
    columns = torch.arange(signs.shape[3], device=signs.device) // tile
    return signs[:, :, rows][:, :, :, columns]


def _offsets(numbers: Tensor, side: Tensor, x0: Tensor) -> tuple[Tensor, Tensor]:
    """Row (n, H) and column (n, W) numbers counted from the corner of a random square inside the image."""
    height, width = x0.shape[2:]
    top = (numbers[:, 0] * (height - side + 1)).long().clamp_max(height - 1)
    left = (numbers[:, 1] * (width - side + 1)).long().clamp_max(width - 1)
    rows = torch.arange(height, device=x0.device)[None] - top[:, None]
    return rows, torch.arange(width, device=x0.device)[None] - left[:, None]


def _inside(offsets: Tensor, side: Tensor) -> Tensor:
    return (offsets >= 0) & (offsets < side[:, None])


def _inverse_squares(count: int) -> Tensor:
    """Cumulative sums 0, 1, 1 + 1/4, 1 + 1/4 + 1/9 …"""
    return torch.cat([torch.zeros(1), (torch.arange(1, count + 1.0) ** -2).cumsum(0)])


def _length(values: Tensor) -> Tensor:
    """(n, C, 1, 1): the L2 size of each channel, never 0."""
    return values.square().sum((2, 3), keepdim=True).sqrt().clamp_min(1e-12)


@register("square", norms=("linf", "l2"))
def square(norm: str, *, steps: int = 5000) -> Square:
    """Random search over squares, score-based (Andriushchenko et al. 2020): ``steps`` queries."""
    return Square(norm=norm, steps=steps)
