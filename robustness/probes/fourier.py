"""Image parametrisations in Fourier space with a natural-image prior, and transformation robustness.

Olah, Mordvintsev and Schubert (Distill 2017): coefficients weighted by 1/f, colours decorrelated, the image
jittered, scaled and rotated. Fel et al. (MACO, NeurIPS 2023): the magnitude is that of natural images, only
the phase is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from robustness import seeds


@dataclass(frozen=True)
class NaturalStatistics:
    """What the priors know of natural images, on the pixels of one canvas.

    ``mean`` (1, 3, 1, 1): mean colour. ``colours`` (3, 3): a root of the colour covariance; white noise times
    it has the natural correlation of colours. ``magnitude`` (3, h, w//2 + 1): the mean magnitude of ``rfft2``
    (norm ``ortho``) in decorrelated colours, nothing at zero frequency.
    """

    mean: Tensor
    colours: Tensor
    magnitude: Tensor

    @staticmethod
    def of(images: Tensor, mean: Tensor | None = None) -> NaturalStatistics:
        """From images (N, 3, h, w) in [0, 1]; ``mean`` replaces their mean colour."""
        mean = images.mean((0, 2, 3)).view(1, -1, 1, 1) if mean is None else mean
        centred = (images - images.mean((0, 2, 3)).view(1, -1, 1, 1)).double()
        flat = centred.transpose(0, 1).flatten(1)
        covariance = flat @ flat.T / flat.shape[1] + 1e-6 * torch.eye(len(flat), dtype=torch.float64).to(flat)
        values, vectors = torch.linalg.eigh(covariance)
        root = vectors * values.sqrt()
        plain = torch.einsum("dc,nchw->ndhw", torch.linalg.inv(root), centred)
        magnitude = torch.fft.rfft2(plain, norm="ortho").abs().mean(0)
        magnitude[:, 0, 0] = 0
        return NaturalStatistics(mean, root.to(images), magnitude.to(images))


def colourful(plain: Tensor, statistics: NaturalStatistics) -> Tensor:
    """Decorrelated channels (B, 3, h, w) → colours around zero."""
    return torch.einsum("cd,ndhw->nchw", statistics.colours, plain)


def from_coefficients(coefficients: Tensor, width: int, statistics: NaturalStatistics) -> Tensor:
    """(B, 3, h, w//2 + 1, 2) real coefficients → images in (0, 1): weighted by 1/f, coloured, and through a
    sigmoid whose middle is the mean colour."""
    height = coefficients.shape[2]
    fy = torch.fft.fftfreq(height, device=coefficients.device)[:, None]
    fx = torch.fft.rfftfreq(width, device=coefficients.device)[None]
    weight = 1 / torch.hypot(fy, fx).clamp_min(1 / max(height, width))
    spectrum = torch.view_as_complex(coefficients.contiguous()) * weight
    plain = torch.fft.irfft2(spectrum, s=(height, width), norm="ortho")
    spread = statistics.colours.norm(dim=1).max().clamp_min(1e-6)
    middle = torch.logit(statistics.mean.clamp(0.02, 0.98))
    return torch.sigmoid(middle + colourful(plain, statistics) / spread)


def from_phase(phase: Tensor, width: int, statistics: NaturalStatistics) -> Tensor:
    """(B, 3, h, w//2 + 1) phases → images with the natural magnitude around the mean colour, not clipped."""
    spectrum = torch.polar(statistics.magnitude.expand_as(phase).contiguous(), phase)
    plain = torch.fft.irfft2(spectrum, s=(phase.shape[2], width), norm="ortho")
    return statistics.mean + colourful(plain, statistics)


class RandomTransforms(NamedTuple):
    """Small random affine transforms for every sample and step, each (B, T): ``angle`` (radians), ``scale``,
    ``right`` and ``down`` (translation in half widths and half heights)."""

    angle: Tensor
    scale: Tensor
    right: Tensor
    down: Tensor

    @staticmethod
    def draw(
        seed: int,
        ids: Sequence[tuple],
        steps: int,
        *,
        degrees: float = 5.0,
        scale: float = 0.1,
        shift: float = 0.1,
    ) -> RandomTransforms:
        """Uniform in ±degrees, 1 ± scale, ±shift; the generator of a sample is (seed, its ids), so that its
        transforms do not depend on the batch."""
        uniform = [
            2 * torch.rand(4, steps, generator=seeds.torch_generator(seed, "motion", *own)) - 1 for own in ids
        ]
        drawn = torch.stack(uniform) if uniform else torch.zeros(0, 4, steps)
        return RandomTransforms(
            drawn[:, 0] * degrees * torch.pi / 180,
            1 + drawn[:, 1] * scale,
            drawn[:, 2] * shift,
            drawn[:, 3] * shift,
        )

    def apply(self, images: Tensor, step: int) -> Tensor:
        """The images (B, C, H, W) under the transforms of one step; the border is padded by reflection."""
        angle, scale, right, down = (value[:, step].to(images) for value in self)
        aspect = images.shape[-1] / images.shape[-2]
        cos, sin = angle.cos() / scale, angle.sin() / scale
        theta = torch.stack(
            [torch.stack([cos, -sin / aspect, right], 1), torch.stack([sin * aspect, cos, down], 1)], 1
        )
        grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
