"""A control: fixed random filters of the Gabor filters' size and norm, with the noise."""

from __future__ import annotations

from torch import nn

from robustness.frontends.blocks.bank import filter_bank
from robustness.frontends.registry import ReplacedStem, register


@register("random")
def random(stem: ReplacedStem) -> tuple[nn.Module, ...]:
    """As ``vone``, with white filters: what it matters that the filters are Gabors."""
    return filter_bank(stem, noise=True, random=True)
