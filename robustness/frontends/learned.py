"""The architecture's own stem."""

from __future__ import annotations

from torch import nn

from robustness.frontends.registry import ReplacedStem, register


@register("learned")
def learned(stem: ReplacedStem) -> tuple[nn.Module, ...]:
    """The stem as it is."""
    return stem.modules
