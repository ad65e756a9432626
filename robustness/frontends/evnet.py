"""EVNet: retina and LGN before the V1 block (Piper et al. 2025, arXiv 2506.03089)."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from torch import nn

from robustness.frontends.blocks import gabor_filters
from robustness.frontends.blocks.bank import block_of
from robustness.frontends.blocks.fitting import fitted
from robustness.frontends.blocks.gabor_filters import EVNET_COMPLEX, EVNET_SIMPLE, GaborParameters
from robustness.frontends.blocks.noise import NextNoise
from robustness.frontends.blocks.subcortical import CHANNELS, PIXELS_PER_DEGREE, subcortical_block
from robustness.frontends.registry import ReplacedStem, register
from robustness.seeds import numpy_generator

KERNEL_SIZE = 31
GAIN = 5.3
FANO_FACTOR = 0.93
"""Of V1's own noise; with what it inherits from the LGN's the total is close to 1."""


@register("evnet")
def evnet(stem: ReplacedStem) -> tuple[nn.Module, ...]:
    """The subcortical block with its noise, V1 cells on its four channels with theirs, and a bottleneck.

    Filters of 31 pixels, gain 5.3 and noise of variance 0.93·(x + 1e-5) without a relu after it, as
    published, whatever the options' kernel_size, gain and noise are; cells, stride and range of frequencies
    are the options'. As many cells read each channel. Raises UserError for images that are not RGB.
    """
    lgn = subcortical_block(stem)
    v1 = block_of(
        stem,
        _cells(stem),
        ppd=stem.options.pixels_per_degree(stem.image_size, published=PIXELS_PER_DEGREE),
        kernel_size=KERNEL_SIZE,
        gain=GAIN,
        noise=NextNoise("fano", fano=FANO_FACTOR, rectify=False),
    )
    return fitted(stem, subcortical=lgn, block=v1)


def _cells(stem: ReplacedStem) -> GaborParameters:
    """Simple and complex cells, each kind from the distributions of its own."""
    options, generator = stem.options, numpy_generator(stem.seed, "frontend", "evnet")
    kinds = [
        gabor_filters.sample(
            count,
            generator,
            sf_min=options.sf_min,
            sf_max=options.sf_max,
            uniform=options.sampling == "uniform",
            tables=tables,
        )
        for count, tables in (
            (options.simple_channels, EVNET_SIMPLE),
            (options.complex_channels, EVNET_COMPLEX),
        )
    ]
    names = [field.name for field in fields(GaborParameters)]
    merged = {name: np.concatenate([getattr(kind, name) for kind in kinds]) for name in names}
    merged["colour"] = generator.permutation(np.arange(len(merged["colour"])) % CHANNELS)
    return GaborParameters(**merged)
