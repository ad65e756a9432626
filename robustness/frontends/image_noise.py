"""The simplest rival: Gaussian noise on the pixels, in training and test, before the learned stem."""

from __future__ import annotations

from torch import nn

from robustness.frontends.blocks.noise import Noise
from robustness.frontends.registry import ReplacedStem, register


@register("image_noise")
def image_noise(stem: ReplacedStem) -> tuple[nn.Module, ...]:
    """The stem as it is, behind noise of the standard deviation ``image_std`` of the normalised image."""
    noise = Noise("gaussian", std=stem.options.image_std, rectify=False)
    return (nn.Sequential(noise, stem.modules[0]), *stem.modules[1:])
