"""Balls of the norms L∞, L2 and L1 around images: sizes, projections, steepest steps, random points.

Tensors are (N, C, H, W) float32; ``epsilon`` is a float in image units. Every function treats each row alone,
so a result does not depend on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from robustness.errors import UserError, nearest

NORMS = ("linf", "l2", "l1")
_TINY = 1e-12


def check_norm(norm: str, allowed: Sequence[str] = NORMS, who: str = "norm") -> str:
    """``norm`` itself; raises UserError if it is not among ``allowed``."""
    if norm not in allowed:
        raise UserError(f"{who}: norm {norm!r} is not supported; {nearest(norm, allowed)}")
    return norm


def size(delta: Tensor, norm: str) -> Tensor:
    """(N,) the norm of each perturbation, in image units."""
    dims = tuple(range(1, delta.ndim))
    return torch.linalg.vector_norm(delta, ord={"linf": torch.inf, "l2": 2, "l1": 1}[norm], dim=dims)


def widen(values: Tensor, like: Tensor) -> Tensor:
    """(N,) as (N, 1, 1, …), to multiply rows of ``like``."""
    return values.view(-1, *(1,) * (like.ndim - 1))


def keep_rows(kept: Tensor, new: Tensor, flags: Tensor) -> None:
    """Write the rows of ``new`` that are flagged (n,) into ``kept``, in place."""
    torch.where(widen(flags, new), new, kept, out=kept)


def box(centre: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Lowest and highest value of each pixel (N, C, H, W) in the L∞ ball and in [0, 1]."""
    return (centre - epsilon).clamp_(min=0), (centre + epsilon).clamp_(max=1)


def confine_(
    x: Tensor, centre: Tensor, epsilon: float, norm: str, edges: tuple[Tensor, Tensor] | None
) -> Tensor:
    """:func:`project` in place, for the loops of attacks; L∞ takes the ``edges`` that :func:`box` gave."""
    if edges is not None:
        return torch.clamp(x, *edges, out=x)
    x -= centre
    if norm == "l2":
        x *= widen((epsilon / size(x, norm).clamp_min(_TINY)).clamp_max(1), x)
    else:
        x = _project_l1(x, epsilon)
    x += centre
    return x.clamp_(0, 1)


def project(x: Tensor, centre: Tensor, epsilon: float, norm: str) -> Tensor:
    """The nearest point of [0, 1] and of the ball: the true projection on the ball, then the clip to [0, 1].

    For L∞ this is the projection on the intersection. For L2 and L1 it is a point of the intersection (the
    clip moves each value toward ``centre``, which is inside), not always the nearest.
    """
    return confine_(x.clone(), centre, epsilon, norm, box(centre, epsilon) if norm == "linf" else None)


def _project_l1(delta: Tensor, epsilon: float) -> Tensor:
    """Euclidean projection on the L1 ball by sorting (Duchi et al. 2008, figure 1)."""
    if epsilon == 0:
        return torch.zeros_like(delta)
    epsilon *= 1 - 1e-5  # the sum over an image's pixels has no more digits in float32
    magnitudes = delta.flatten(1).abs()
    ordered = magnitudes.sort(dim=1, descending=True).values
    ranks = torch.arange(1, ordered.shape[1] + 1, device=delta.device, dtype=delta.dtype)
    thresholds = (ordered.cumsum(1) - epsilon) / ranks
    support = (ordered > thresholds).sum(1, keepdim=True).clamp_min(1)
    threshold = thresholds.gather(1, support - 1).clamp_min(0)
    shrunk = (magnitudes - threshold).clamp_min(0) * delta.flatten(1).sign()
    return shrunk.view_as(delta)


def steepest_(gradient: Tensor, norm: str, x: Tensor | None = None) -> Tensor:
    """The direction of steepest ascent, of unit size; 0 where the gradient is 0.
    May overwrite ``gradient``.

    L1: the steepest direction has one coordinate, which makes slow progress in many dimensions. The steps go,
    as in SLIDE (Tramèr & Boneh 2019), along the signs of the largest hundredth of the gradient, and skip
    pixels of ``x`` that the step would push out of [0, 1].
    """
    if norm == "linf":
        return gradient.sign_()
    if norm == "l2":
        return gradient.div_(widen(size(gradient, norm).clamp_min(_TINY), gradient))
    flat = gradient.flatten(1)
    if x is not None:
        blocked = ((x <= 0) & (gradient < 0)) | ((x >= 1) & (gradient > 0))
        flat = gradient.masked_fill(blocked, 0).flatten(1)
    count = max(1, flat.shape[1] // 100)
    edge = flat.abs().topk(count, dim=1).values[:, -1:]
    direction = flat.sign() * (flat.abs() >= edge)
    return (direction / direction.abs().sum(1, keepdim=True).clamp_min(1)).view_as(gradient)


def random_like(x: Tensor, norm: str, epsilon: float, seeds: Sequence[int]) -> Tensor:
    """:func:`random_points` on the device and in the memory layout of ``x`` (N, C, H, W)."""
    return torch.empty_like(x).copy_(random_points(x.shape[1:], norm, epsilon, seeds))


def random_points(shape: Sequence[int], norm: str, epsilon: float, seeds: Sequence[int]) -> Tensor:
    """(N, C, H, W) a random perturbation in the ball for each seed; on the CPU.

    L∞: uniform in the cube. L2: uniform direction, the radius ε·u^(1/2), which does not crowd at the surface
    as a uniform point of a ball of many dimensions would. L1: uniform on the simplex face with random signs,
    the radius as for L2.
    """
    points = torch.empty(len(seeds), *shape)
    for row, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(int(seed))
        if norm == "linf":
            points[row].uniform_(-epsilon, epsilon, generator=generator)
            continue
        radius = epsilon * torch.rand((), generator=generator).sqrt()
        if norm == "l2":
            points[row].normal_(generator=generator)
        else:
            points[row].exponential_(generator=generator)
            points[row] *= torch.randint(0, 2, tuple(shape), generator=generator) * 2 - 1
        points[row] *= radius / size(points[row : row + 1], norm)[0].clamp_min(_TINY)
    return points
