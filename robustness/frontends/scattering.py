"""A rival: the wavelet scattering transform, fixed and without noise."""

from __future__ import annotations

from torch import nn

from robustness.frontends.blocks.fitting import fitted
from robustness.frontends.blocks.wavelets import Scattering
from robustness.frontends.registry import ReplacedStem, register


@register("scattering")
def scattering(stem: ReplacedStem) -> tuple[nn.Module, ...]:
    """Scattering coefficients of orders 0, 1 and 2 at stride 4 in the place of the stem, and a bottleneck."""
    return fitted(stem, block=Scattering())
