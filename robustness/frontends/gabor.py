"""A control: the fixed Gabor bank without noise."""

from __future__ import annotations

from torch import nn

from robustness.frontends.blocks.bank import filter_bank
from robustness.frontends.registry import ReplacedStem, register


@register("gabor")
def gabor(stem: ReplacedStem) -> tuple[nn.Module, ...]:
    """As ``vone``, without the noise: what the filters do."""
    return filter_bank(stem, noise=False)
