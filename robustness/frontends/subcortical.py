"""A rival: retina and LGN before the learned stem (Piper et al. 2025)."""

from __future__ import annotations

from torch import nn

from robustness.frontends.blocks.fitting import bottleneck
from robustness.frontends.blocks.subcortical import CHANNELS, subcortical_block
from robustness.frontends.registry import ReplacedStem, register


@register("subcortical")
def subcortical(stem: ReplacedStem) -> tuple[nn.Module, ...]:
    """Midget and parasol cells with their noise, then the stem as it is.

    A trainable 1×1 convolution, without normalisation, takes the four channels to the three that the stem
    reads: how the published block joins a stem other than V1 was not found. Raises UserError for images that
    are not RGB.
    """
    join = bottleneck(CHANNELS, stem.in_channels, stem.seed)
    return (nn.Sequential(subcortical_block(stem), join, stem.modules[0]), *stem.modules[1:])
