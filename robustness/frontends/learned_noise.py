"""A control: the architecture's own stem with the noise on its output."""

from __future__ import annotations

from torch import nn

from robustness.frontends.blocks.bank import noise_of
from robustness.frontends.registry import ReplacedStem, register


@register("learned_noise")
def learned_noise(stem: ReplacedStem) -> tuple[nn.Module, ...]:
    """The stem as it is, and the noise of ``vone``: what the noise does alone.

    Its output stays rectified where the stem's is.
    """
    noise = noise_of(stem.options, rectify=bool(stem.output.min() >= 0))
    return (*stem.modules[:-1], nn.Sequential(stem.modules[-1], noise))
