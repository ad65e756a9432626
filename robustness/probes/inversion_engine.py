"""Pre-images: argmin_x ‖Φ(x) − Φ0‖² + λR(x), for all images and starts of a layer in one batch.

A. Mahendran and A. Vedaldi, Visualizing Deep Convolutional Neural Networks Using Natural Pre-Images, IJCV
2016. The objective of one sample is

    C·‖Φ(x) − Φ0‖²/‖Φ0‖² + 1/(H·W) Σ_pixels (‖x‖/80)^6 + 1/(H·W) Σ_pixels (|∇x|/(80/6.5))²

with x in 0–255 units around the mean colour, as published for images of 227 pixels; images here are in [0, 1]
and scaled by 255 for the priors. The norms belong to each sample alone. Adam has its own state per sample;
the image is jittered by a few pixels at each step of the first phase, which ends for each sample when its
objective has stopped falling, and not in the second, whose rate is a tenth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustness import seeds
from robustness.probes.ascent_engine import Adam
from robustness.probes.layers import Tap, device_of

BOUND = 80.0
"""B: the size of a pixel (0–255 units around the mean) at which the α-norm begins to cost."""

GRADIENT_BOUND = 80.0 / 6.5
"""V = B/6.5: the size of a gradient at which the total variation does, in images of PUBLISHED_SIDE pixels."""

PUBLISHED_SIDE = 227
"""The same picture with fewer pixels has steeper steps from pixel to pixel: V grows by
PUBLISHED_SIDE/side."""

DATA_WEIGHTS = ((0.15, 10.0), (0.5, 4.0), (1.01, 2.0))
"""Up to this relative depth, this weight C. The published one grows with depth from 1 to 300: on networks and
images as small as ours that blurs what the stem keeps and lets noise through which a deep layer does not see,
while with 2 deep features are met as well and the object can be recognised (structural similarity on resnet18
with 1, 20, 100, 300 and with 1, 2, 2, 2: middle 0.30 and 0.59, late 0.20 and 0.53)."""

WINDOW = 20
"""Steps whose mean objective is compared with that of as many before: jitter moves a single one."""


@dataclass(frozen=True)
class Inverted:
    """``images`` (B, 3, H, W) in [0, 1]: the best still image of each sample; ``errors`` (B,): its
    ‖Φ(x) − Φ0‖²/‖Φ0‖²; ``trace`` (B, steps) of the same, of the moved images, NaN after its end; ``fall``
    (B,): by what share the objective last fell over ``WINDOW`` steps of the first phase, NaN for too few."""

    images: Tensor
    errors: Tensor
    trace: Tensor
    fall: Tensor


def data_weight(depth: float) -> float:
    """C for a layer at a relative depth in [0, 1]."""
    return next(weight for limit, weight in DATA_WEIGHTS if depth < limit)


def jitter_of(stride: int) -> int:
    """The largest translation in pixels for a layer of a stride: as many places as published, a quarter of
    the stride. None up to a stride of 8: such a layer keeps places."""
    return (max(round(stride / 4), 1) - 1) // 2


def alpha_norm(d: Tensor) -> Tensor:
    """1/(H·W) Σ (‖x‖/B)^6 of images around the mean colour, in [0, 1] units (B, 3, H, W): (B,)."""
    size = (255 * d / BOUND).square().sum(1)
    return size.pow(3).mean((1, 2))


def total_variation(d: Tensor) -> Tensor:
    """1/(H·W) Σ ((Δ_x² + Δ_y²)/V²) over pixels and colours, β = 2, in the same units: (B,)."""
    bound = GRADIENT_BOUND * PUBLISHED_SIDE / max(d.shape[-2:])
    across = (d[..., :, 1:] - d[..., :, :-1]).square().sum((1, 2, 3))
    down = (d[..., 1:, :] - d[..., :-1, :]).square().sum((1, 2, 3))
    return (across + down) * (255 / bound) ** 2 / (d.shape[-1] * d.shape[-2])


def relative_error(features: Tensor, wanted: Tensor) -> Tensor:
    """‖Φ − Φ0‖²/‖Φ0‖² (B,), of each sample alone."""
    return (features - wanted).flatten(1).square().sum(1) / wanted.flatten(1).square().sum(1).clamp_min(1e-12)


def invert(
    model: nn.Module,
    layer: str,
    images: Tensor,
    *,
    starts: Sequence[int],
    ids: Sequence[int],
    weight: float,
    seed: int = 0,
    iterations: tuple[int, int] = (300, 50),
    tolerance: float = 0.01,
    rate: float = 0.02,
    jitter: int = 2,
    prior: float = 1.0,
    start_noise: float = 10 / 255,
    mean: Tensor | None = None,
) -> Inverted:
    """Reconstruct ``images`` (B, 3, H, W) from their features at module path ``layer``, one start each.

    Sample i starts at the mean colour with Gaussian noise (``start_noise``) of the generator (seed, ids[i],
    starts[i]). ``iterations``: with jitter, at most, until the objective's fall over ``WINDOW`` steps is less
    than the share ``tolerance``; then without. ``weight`` is C; ``prior`` multiplies both priors (0: none).
    ``rate``: Adam's, in [0, 1] units; ``jitter``: the largest translation in pixels. Call it on a model in
    :func:`~robustness.probes.layers.probing`.
    """
    device = device_of(model)
    mean = (images.mean((0, 2, 3)) if mean is None else mean).view(1, -1, 1, 1).to(device)
    generators = [seeds.torch_generator(seed, "inversion", *own) for own in zip(ids, starts, strict=True)]
    noise = torch.stack([torch.randn(*images.shape[1:], generator=generator) for generator in generators])
    d = ((mean + start_noise * noise.to(device)).clamp(0, 1) - mean).detach()
    moving, still = iterations
    shifts = torch.stack(
        [torch.randint(-jitter, jitter + 1, (moving, 2), generator=generator) for generator in generators]
    ).to(device)
    adam = Adam(rate)
    best, errors, trace = d, torch.full((len(d),), torch.inf, device=device), []
    with Tap(model, {"layer": layer}) as tap:
        with torch.no_grad():
            wanted = tap(images.to(device))["layer"]

        def keep(d: Tensor, error: Tensor) -> None:
            nonlocal best, errors
            better = error < errors
            best = torch.where(better.view(-1, 1, 1, 1), d, best)
            errors = torch.where(better, error, errors)

        left = torch.full((len(d),), still, device=device)  # steps without jitter
        moves, fall = torch.ones_like(errors, dtype=torch.bool), torch.full_like(errors, torch.nan)
        losses: list[Tensor] = []
        for step in range(moving + still):
            moves = moves & (step < moving)
            going = moves | (left > 0)
            if not going.any():
                break
            with torch.enable_grad():
                leaf = d.requires_grad_()
                jittered = bool(jitter) and bool(moves.any())
                moved = rolled(leaf, shifts[:, step] * moves[:, None]) if jittered else leaf
                error = relative_error(tap(mean + moved)["layer"], wanted)
                loss = weight * error + prior * (alpha_norm(leaf) + total_variation(leaf))
                (gradient,) = torch.autograd.grad(loss.sum(), leaf)
            still_image = going & (~moves | (jitter == 0))
            keep(leaf.detach(), torch.where(still_image, error.detach(), torch.inf))
            trace.append(torch.where(going, error.detach(), torch.nan))
            stepped = adam.step(leaf.detach(), -gradient, torch.where(moves, 1.0, 0.1).view(-1, 1, 1, 1))
            d = torch.where(going.view(-1, 1, 1, 1), (mean + stepped).clamp(0, 1) - mean, leaf.detach())
            left = left - (going & ~moves).long()
            losses.append(loss.detach())
            if step + 1 >= 2 * WINDOW:
                before, after = (torch.stack(part).mean(0) for part in _windows(losses))
                fall = torch.where(moves, 1 - after / before, fall)
                moves = moves & (fall >= tolerance)
        with torch.no_grad():
            keep(d, relative_error(tap(mean + d)["layer"], wanted))
    trace += [torch.full_like(errors, torch.nan)] * (moving + still - len(trace))
    return Inverted((mean + best).cpu(), errors.cpu(), torch.stack(trace, 1).cpu(), fall.cpu())


def _windows(losses: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """The last ``WINDOW`` objectives but as many, and the last ones."""
    return losses[-2 * WINDOW : -WINDOW], losses[-WINDOW:]


def rolled(images: Tensor, shifts: Tensor) -> Tensor:
    """Each image (B, C, H, W) translated by whole pixels (B, 2: down, right); the border is reflected."""
    height, width = images.shape[-2:]
    sample = torch.arange(len(images), device=images.device)[:, None, None]
    row = _mirrored(torch.arange(height, device=images.device) - shifts[:, :1], height)[:, :, None]
    column = _mirrored(torch.arange(width, device=images.device) - shifts[:, 1:], width)[:, None, :]
    return images.permute(0, 2, 3, 1)[sample, row, column].permute(0, 3, 1, 2)


def _mirrored(index: Tensor, extent: int) -> Tensor:
    return (extent - 1 - (index.abs() - (extent - 1)).abs()).clamp(0, extent - 1)
