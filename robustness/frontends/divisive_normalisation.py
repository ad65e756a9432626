"""The V1 block with divisive normalisation between the cells and their noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from robustness.frontends.blocks.bank import noise_of, v1_block
from robustness.frontends.blocks.fitting import fitted
from robustness.frontends.blocks.v1_block import V1Block
from robustness.frontends.registry import ReplacedStem, register

SEMISATURATION_CONTRAST = 0.33
"""Contrast of a grating at which a cell gives half of what it gives at any: near what macaque V1 is said to
have (a third); chosen, its source was not read."""
ORIENTATIONS = 12


class DivisiveNormalisation(nn.Module):
    """gain·A²/(σ² + mean of A² over the channels of the position): maps (N, C, H, W), A ≥ 0, to ≥ 0.

    Heeger's (1992) model with exponent 2 and a pool of all cells of the position, equally weighted: under an
    image that drives the pool in proportion to its contrast c, a cell gives R·c²/(c50² + c²).
    """

    def __init__(self, sigma: float, gain: float) -> None:
        super().__init__()
        self.sigma, self.gain = sigma, gain

    def forward(self, responses: Tensor) -> Tensor:
        energy = responses.square()
        return self.gain * energy / (self.sigma**2 + energy.mean(dim=1, keepdim=True))

    def extra_repr(self) -> str:
        return f"sigma={self.sigma:.4g}, gain={self.gain:.4g}"


@register("divisive_normalisation")
def divisive_normalisation(stem: ReplacedStem) -> tuple[nn.Module, ...]:
    """As ``vone``, the cells' responses normalised before the noise.

    σ and the gain follow from the bank's responses to grey gratings of full contrast and of its median
    frequency: half of the limit is reached at a contrast of 0.33, and at full contrast the mean over cells
    is that of the bank, so that the noise keeps its relation to the response. VOneNetDN (Cirincione et al.
    2022) learns its weights instead; its form was not found in the paper itself.
    """
    block = v1_block(stem, noise=False)
    driven = _grating_responses(stem, block)
    sigma = SEMISATURATION_CONTRAST * driven.square().mean().sqrt().item()
    gain = driven.mean().item() * (1 + SEMISATURATION_CONTRAST**2)
    parts = {"block": block, "normalisation": DivisiveNormalisation(sigma, gain)}
    if stem.options.noise != "none":
        parts["noise"] = noise_of(stem.options, rectify=True)
    return fitted(stem, **parts)


def _grating_responses(stem: ReplacedStem, block: V1Block) -> Tensor:
    """The cells' responses (orientations, cells, height, width) to gratings between black and white."""
    ppd = stem.options.pixels_per_degree(stem.image_size)
    frequency = torch.tensor(block.cells.frequency).median().item() / ppd
    place = torch.arange(float(stem.image_size))
    angle = torch.arange(ORIENTATIONS) * math.pi / ORIENTATIONS
    along = place[:, None] * angle.cos()[:, None, None] + place * angle.sin()[:, None, None]
    light = 0.5 + 0.5 * torch.sin(2 * math.pi * frequency * along)[:, None]
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (stem.mean, stem.std))
    with torch.no_grad():
        return block.respond((light - mean) / std)
