"""The subcortical block: retina and LGN as midget and parasol cells (Piper et al. 2025, arXiv 2506.03089)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustness.errors import UserError
from robustness.frontends.blocks.blur import blur, integral
from robustness.frontends.blocks.noise import Noise
from robustness.frontends.registry import ReplacedStem

PIXELS_PER_DEGREE = 32.0
"""224 pixels for 7 degrees of the visual field, for which the radii are given in pixels."""
FANO_FACTOR = 0.4
"""Variance of the noise over the response."""
_ADAPTATION_FLOOR, _ENERGY_FLOOR = 1e-5, 1e-12
_REACH = math.sqrt(-2 * math.log(0.25)) / math.sqrt(2)
"""In radii: kernels end where the Gaussian has fallen to a quarter (the 75 % rule)."""


@dataclass(frozen=True)
class Cells:
    """ON-centre cells of one class; radii in pixels at 32 pixels a degree, of exp(−r²/radius²).

    centre, surround: weights of R, G and B, a row for each channel of cells. depth: the surround's peak over
    the centre's, negative. pool, semisaturation, exponent: of the contrast normalisation. gain: of all.
    """

    centre: tuple[tuple[float, float, float], ...]
    surround: tuple[tuple[float, float, float], ...]
    centre_radius: float
    surround_radius: float
    depth: float
    pool: float
    semisaturation: float
    exponent: float
    gain: float


GREY = (1 / 3, 1 / 3, 1 / 3)
MIDGET = Cells(
    centre=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    surround=((0, 1, 0), (1, 0, 0), (0.5, 0.5, 0)),
    centre_radius=1.494801,
    surround_radius=7.1528,
    depth=-0.01189463,
    pool=13.4115,
    semisaturation=1.0,
    exponent=1.0,
    gain=5.295252,
)
"""R/G, G/R and B/Y cells."""
PARASOL = Cells(
    centre=(GREY,),
    surround=(GREY,),
    centre_radius=2.420390,
    surround_radius=17.091879,
    depth=-0.00375061,
    pool=28.872192,
    semisaturation=0.1850183,
    exponent=0.8068704,
    gain=2.849493,
)
CHANNELS = 4
"""Three channels of midget cells, one of parasol cells."""


class Subcortical(nn.Module):
    """Images (N, 3, H, W), normalised → responses (draws·N, 4, H, W) of either sign.

    Light adaptation of the image in [0, 1] by its mean m, (x − m)/(m + 1e-5); difference of Gaussians,
    divided by the sum of the whole kernel; contrast normalisation y/(√(W∗y²) + c50)^n; gain; noise of
    variance 0.4·(|y| + 1e-5), independent in all channels. No part is trained.

    pixels_per_degree: radii are scaled by its ratio to the published 32.
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], pixels_per_degree: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)
        self.pixels_per_degree = pixels_per_degree
        self.noise = Noise("fano", fano=FANO_FACTOR, rectify=False)

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            return self.noise(self.respond(images.float()))

    def respond(self, images: Tensor) -> Tensor:
        """The responses without noise: (N, 4, H, W)."""
        light = images * self.std + self.mean
        level = light.mean(dim=(1, 2, 3), keepdim=True)
        adapted = (light - level) / (level + _ADAPTATION_FLOOR)
        return torch.cat([self._respond(adapted, cells) for cells in (MIDGET, PARASOL)], dim=1)

    def _respond(self, adapted: Tensor, cells: Cells) -> Tensor:
        scale = self.pixels_per_degree / PIXELS_PER_DEGREE
        reach = min(_reach(scale * cells.surround_radius), max(adapted.shape[2:]) - 1)
        total, response = 0.0, torch.zeros(())
        for weights, radius, factor in (
            (cells.centre, scale * cells.centre_radius, 1.0),
            (cells.surround, scale * cells.surround_radius, cells.depth),
        ):
            mixed = torch.einsum("kc,nchw->nkhw", adapted.new_tensor(weights), adapted)
            response = response + factor * blur(mixed, radius, reach)
            total += factor * integral(radius, reach)
        response = response / abs(total)
        pool = scale * cells.pool
        reach = min(_reach(pool), max(adapted.shape[2:]) - 1)
        energy = blur(response.square(), pool, reach) / integral(pool, reach)
        contrast = (energy + _ENERGY_FLOOR).sqrt()
        return cells.gain * response / (contrast + cells.semisaturation) ** cells.exponent


def _reach(radius: float) -> int:
    """Pixels on either side of the centre of a Gaussian's kernel."""
    return math.ceil(_REACH * radius)


def subcortical_block(stem: ReplacedStem) -> Subcortical:
    """The block before a stem, at the options' pixels per degree; 32 where they leave them to the front-end.

    Raises UserError for images that are not RGB.
    """
    if stem.in_channels != 3:
        raise UserError(
            f"midget cells read red, green and blue; {stem.architecture} gets images of {stem.in_channels} "
            "channels: choose another front-end for this model"
        )
    ppd = stem.options.pixels_per_degree(stem.image_size, published=PIXELS_PER_DEGREE)
    return Subcortical(stem.mean, stem.std, ppd)
