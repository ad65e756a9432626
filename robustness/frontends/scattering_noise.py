"""A rival: Gaussian noise on the coefficients of a wavelet scattering transform (Su & Kempe 2023)."""

from __future__ import annotations

from torch import nn

from robustness.frontends.blocks.fitting import fitted
from robustness.frontends.blocks.noise import Noise
from robustness.frontends.blocks.wavelets import Scattering
from robustness.frontends.registry import ReplacedStem, register

STD = 0.1
"""Standard deviation of the noise, in units of the normalised image. Su & Kempe (arXiv 2304.09403) say in
their abstract where the noise is; their σ, J and order were not found. Chosen: on photographs of 64 pixels a
median coefficient of order 1 then has a standard deviation of 0.46 that of the noise, VOneNet's cell 0.47."""


@register("scattering_noise")
def scattering_noise(stem: ReplacedStem) -> tuple[nn.Module, ...]:
    """As ``scattering``, with noise on the coefficients, in training and test."""
    return fitted(stem, block=Scattering(), noise=Noise("gaussian", std=STD, rectify=False))
