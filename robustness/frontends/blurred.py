"""A control: a blurred image, by the optics that the midget cells' centres have, before the learned stem."""

from __future__ import annotations

import math

from torch import Tensor, nn

from robustness.frontends.blocks.blur import blur, integral
from robustness.frontends.blocks.subcortical import MIDGET
from robustness.frontends.registry import ReplacedStem, register

RADIUS = MIDGET.centre_radius
"""Pixels, of exp(−r²/radius²): a standard deviation of 1.06 pixels, that of ``subcortical`` at its published
32 pixels per degree."""
REACH = math.ceil(3 * RADIUS)


class Blur(nn.Module):
    """Images (N, C, H, W) convolved with a Gaussian of sum 1; borders reflect."""

    def forward(self, images: Tensor) -> Tensor:
        return blur(images, RADIUS, REACH) / integral(RADIUS, REACH)


@register("blurred")
def blurred(stem: ReplacedStem) -> tuple[nn.Module, ...]:
    """The stem as it is, on a blurred image: what the loss of high frequencies does alone."""
    return (nn.Sequential(Blur(), stem.modules[0]), *stem.modules[1:])
