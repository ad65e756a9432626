"""The fixed Gabor bank with neuronal noise: the VOneBlock (Dapello et al., NeurIPS 2020)."""

from __future__ import annotations

from torch import nn

from robustness.frontends.blocks.bank import filter_bank
from robustness.frontends.registry import ReplacedStem, register


@register("vone")
def vone(stem: ReplacedStem) -> tuple[nn.Module, ...]:
    """Simple and complex cells of a fixed Gabor bank, with noise, and a trainable bottleneck."""
    return filter_bank(stem, noise=True)
