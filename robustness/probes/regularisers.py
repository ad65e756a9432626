"""The operators r_θ of x ← r_θ(x + η ∂a/∂x), each for a whole batch with a setting for every sample.

J. Yosinski, J. Clune, A. Nguyen, T. Fuchs, H. Lipson, Understanding Neural Networks Through Deep
Visualization, 2015: decay, blur, pixels of small norm, pixels of small contribution, and their four
combinations. Total variation and the two Fourier forms come after them.

Yosinski's images run from 0 to 255 around the mean; ours from 0 to 1. With x255 = 255·x01 a gradient is
∂a/∂x255 = (∂a/∂x01)/255, so a step η255·∂a/∂x255 moves x01 by η255/255²·∂a/∂x01: a fixed rate is divided by
255², while k/‖∂a/∂x‖²·∂a/∂x raises the response by k in either unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from robustness.errors import UserError, nearest

FULL_SCALE = 255.0


@dataclass(frozen=True)
class Regulariser:
    """One setting of the ascent.

    ``space``: ``pixels`` (the operators below), ``fourier`` (1/f-weighted Fourier coefficients, decorrelated
    colours and transformations; C. Olah, A. Mordvintsev, L. Schubert, Distill 2017) or ``spectrum`` (the
    natural images' Fourier magnitude, only the phase is free; T. Fel et al., NeurIPS 2023, MACO).

    ``decay``: weight decay of x (its distance from the mean colour) per step. ``blur``: σ in pixels, every
    ``blur_every`` steps. ``small_norm``, ``small_contribution``: percentage of pixels set to the mean colour.
    ``total_variation``: step along the negative gradient of the total variation, in units of [0, 1].

    ``rate_cap``, ``rate_gain``: the published rate min(rate_cap, rate_gain/‖g‖²) for 0–255 images (a gain of
    None is a fixed rate), and ``iterations`` the published number; None where nothing is published.
    """

    name: str
    space: str = "pixels"
    decay: float = 0.0
    blur: float = 0.0
    blur_every: int = 4
    small_norm: float = 0.0
    small_contribution: float = 0.0
    total_variation: float = 0.0
    rate_cap: float | None = None
    rate_gain: float | None = None
    iterations: int | None = None
    prior: bool = True


_ALL = (
    Regulariser("none", prior=False),
    Regulariser("decay", decay=0.3),
    Regulariser("blur", blur=1.0),
    Regulariser("small_norm", small_norm=50),
    Regulariser("small_contribution", small_contribution=90),
    Regulariser("yosinski1", blur=0.5, small_norm=50, rate_cap=100, rate_gain=2, iterations=500),
    Regulariser("yosinski2", decay=0.3, small_norm=20, rate_cap=100, iterations=750),
    Regulariser("yosinski3", decay=1e-4, blur=1.0, rate_cap=100, iterations=1000),
    Regulariser("yosinski4", blur=0.5, small_contribution=90, rate_cap=1e8, rate_gain=2, iterations=1000),
    Regulariser("total_variation", total_variation=0.02),
    Regulariser("fourier", space="fourier"),
    Regulariser("spectrum", space="spectrum"),
)
REGULARISERS = {regulariser.name: regulariser for regulariser in _ALL}


def chosen(names: Sequence[str]) -> list[Regulariser]:
    """The regularisers of these names. Raises UserError for an unknown one."""
    for name in names:
        if name not in REGULARISERS:
            raise UserError(f"regularisers: unknown {name!r}; {nearest(name, REGULARISERS)}")
    return [REGULARISERS[name] for name in names]


def published_rate(regulariser: Regulariser, gradient_norm: Tensor) -> Tensor:
    """η for images in [0, 1] from ‖∂a/∂x01‖ (B,): the published rate, converted (see the module's text).

    Raises UserError if nothing is published for this regulariser.
    """
    if regulariser.rate_cap is None:
        raise UserError(f"ascent: no published rate for {regulariser.name!r}; use rate: normalised")
    cap = torch.full_like(gradient_norm, regulariser.rate_cap / FULL_SCALE**2)
    if regulariser.rate_gain is None:
        return cap
    return torch.minimum(cap, regulariser.rate_gain / gradient_norm.square().clamp_min(1e-30))


def gaussian_blur(images: Tensor, sigma: float | Tensor) -> Tensor:
    """Gaussian blur of (B, C, H, W), σ in pixels, one for all or (B,); borders are mirrored, σ = 0 is the
    identity. The kernel reaches 3σ, and no further than the image."""
    count, channels, height, width = images.shape
    spread = torch.as_tensor(sigma, dtype=images.dtype, device=images.device).expand(count)
    largest = float(spread.max()) if count else 0.0
    blurred = images.reshape(1, count * channels, height, width)
    for axis, extent in ((2, height), (3, width)):
        reach = min(int(3 * largest + 0.5), extent - 1)
        if largest <= 0 or reach < 1:
            continue
        offset = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
        kernel = torch.exp(-0.5 * (offset / spread.clamp_min(1e-3)[:, None]) ** 2)
        kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
        shape = (count * channels, 1, -1, 1) if axis == 2 else (count * channels, 1, 1, -1)
        sides = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
        padded = functional.pad(blurred, sides, mode="reflect")
        blurred = functional.conv2d(padded, kernel.view(shape), groups=count * channels)
    return blurred.reshape(images.shape)


def keep_largest(images: Tensor, size: Tensor, percent: Tensor) -> Tensor:
    """Set the ``percent`` (B,) of the pixels with the smallest ``size`` (B, H, W) to zero in (B, C, H, W).

    Pixels as small as the largest of those go too.
    """
    flat = size.flatten(1)
    cut = (percent / 100 * flat.shape[1]).round().long().clamp(0, flat.shape[1])
    limit = flat.new_full((len(flat), 1), -1.0)
    for count in cut.unique().tolist():
        if count:
            rows = (cut == count).nonzero().flatten()
            limit[rows] = flat[rows].kthvalue(count, dim=1, keepdim=True).values
    return images * (flat > limit).view(size.shape)[:, None]


def total_variation_gradient(images: Tensor, softness: float = 0.1) -> Tensor:
    """The gradient of Σ √(Δ_x² + Δ_y² + softness²) − softness with respect to the images (B, C, H, W).

    A step of up to softness/4 along it makes no checkerboard.
    """
    right = functional.pad(images[..., :, 1:] - images[..., :, :-1], (0, 1))
    down = functional.pad(images[..., 1:, :] - images[..., :-1, :], (0, 0, 0, 1))
    length = (right.square() + down.square() + softness**2).sqrt()
    right, down = right / length, down / length
    gradient = -(right + down)
    gradient[..., :, 1:] += right[..., :, :-1]
    gradient[..., 1:, :] += down[..., :-1, :]
    return gradient


class PixelOperators:
    """The pixel regularisers of a batch, sample by sample: applied after each step, in Yosinski's order."""

    def __init__(self, regularisers: Sequence[Regulariser], device: torch.device) -> None:
        def column(key: str) -> Tensor:
            return torch.tensor([float(getattr(r, key)) for r in regularisers], device=device)

        self.decay = column("decay").view(-1, 1, 1, 1)
        self.variation = column("total_variation").view(-1, 1, 1, 1)
        self.blur, self.every = column("blur"), column("blur_every").long()
        self.norm_percent, self.contribution_percent = column("small_norm"), column("small_contribution")
        self.cuts_norm = self.norm_percent.nonzero().flatten()
        self.cuts_contribution = self.contribution_percent.nonzero().flatten()
        self.varies = self.variation.flatten().nonzero().flatten()

    def __call__(self, d: Tensor, gradient: Tensor, step: int) -> Tensor:
        """``d`` (B, 3, H, W): the image's distance from the mean colour after the step; ``gradient``:
        ∂a/∂x of this step; ``step`` counts from 0."""
        d = d * (1 - self.decay)
        blurred = ((self.blur > 0) & ((step + 1) % self.every == 0)).nonzero().flatten()
        if len(blurred):
            d = d.index_copy(0, blurred, gaussian_blur(d[blurred], self.blur[blurred]))
        if len(self.cuts_norm):
            part = d[self.cuts_norm]
            part = keep_largest(part, part.square().sum(1), self.norm_percent[self.cuts_norm])
            d = d.index_copy(0, self.cuts_norm, part)
        if len(self.cuts_contribution):
            part = d[self.cuts_contribution]
            size = (gradient[self.cuts_contribution] * part).sum(1).abs()
            part = keep_largest(part, size, self.contribution_percent[self.cuts_contribution])
            d = d.index_copy(0, self.cuts_contribution, part)
        if len(self.varies):
            part = d[self.varies]
            part = part - self.variation[self.varies] * total_variation_gradient(part)
            d = d.index_copy(0, self.varies, part)
        return d
