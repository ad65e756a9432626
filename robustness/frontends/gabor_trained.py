"""A control: the bank with the noise, trained from its Gabor initialisation."""

from __future__ import annotations

from torch import nn

from robustness.frontends.blocks.bank import filter_bank
from robustness.frontends.registry import ReplacedStem, register


@register("gabor_trained")
def gabor_trained(stem: ReplacedStem) -> tuple[nn.Module, ...]:
    """As ``vone``, with filters that are trained: what it matters that they are fixed."""
    return filter_bank(stem, noise=True, trained=True)
