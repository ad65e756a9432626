"""A fixed filter bank in the place of a stem: the V1 block that its options describe."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from robustness.frontends.blocks import gabor_filters
from robustness.frontends.blocks.fitting import fitted
from robustness.frontends.blocks.gabor_filters import GaborParameters
from robustness.frontends.blocks.noise import Noise
from robustness.frontends.blocks.v1_block import V1Block, placement
from robustness.frontends.options import FrontendOptions
from robustness.frontends.registry import ReplacedStem
from robustness.seeds import numpy_generator


def filter_bank(
    stem: ReplacedStem, *, noise: bool, random: bool = False, trained: bool = False
) -> tuple[nn.Module, ...]:
    """A V1 block and what fits it to the network, in the place of the stem's modules.

    noise: whether the block has the noise of the options; random: white filters of the Gabor filters' size
    and norm; trained: whether the filters are. The filters come from a generator seeded by (seed, purpose).
    Raises UserError as :func:`fitted`.
    """
    return fitted(stem, block=v1_block(stem, noise=noise, random=random, trained=trained))


def noise_of(options: FrontendOptions, *, rectify: bool) -> Noise:
    """The noise that the options describe; neuronal where they say none."""
    kind = "neuronal" if options.noise == "none" else options.noise
    return Noise(
        kind, scale=options.noise_scale, level=options.noise_level, std=options.gaussian_std, rectify=rectify
    )


def v1_block(stem: ReplacedStem, *, noise: bool, random: bool = False, trained: bool = False) -> V1Block:
    """The block of the options: see :func:`filter_bank`."""
    options = stem.options
    cells = gabor_filters.sample(
        options.simple_channels + options.complex_channels,
        numpy_generator(stem.seed, "frontend", "gabor"),
        sf_min=options.sf_min,
        sf_max=options.sf_max,
        uniform=options.sampling == "uniform",
        colours=stem.in_channels,
    )
    return block_of(
        stem,
        cells,
        ppd=options.pixels_per_degree(stem.image_size),
        kernel_size=options.kernel_size,
        gain=options.gain,
        noise=noise_of(options, rectify=True) if noise and options.noise != "none" else None,
        random=random,
        trained=trained,
    )


def block_of(
    stem: ReplacedStem,
    cells: GaborParameters,
    *,
    ppd: float,
    kernel_size: int,
    gain: float,
    noise: Noise | None,
    random: bool = False,
    trained: bool = False,
) -> V1Block:
    """A block of these cells, the options' simple ones first, at the stem's stride or the options' least."""
    options, image_size = stem.options, stem.image_size
    simple = options.simple_channels
    cells = cells.sorted_by_colour(simple)
    real = gabor_filters.filters(cells, kernel_size, ppd)
    partner = gabor_filters.filters(cells, kernel_size, ppd, quadrature=True)[simple:]
    filters = np.concatenate([real, partner])
    if random:
        filters = _random_like(filters, numpy_generator(stem.seed, "frontend", "random"))
    stride = max(stem.stride, options.minimum_stride)
    geometry = []
    for extent in stem.output.shape[2:]:
        count = extent if stride == stem.stride else -(-extent * stem.stride // stride)
        geometry.append((stride, placement(image_size, count, stride), count))
    return V1Block(
        torch.from_numpy(filters).float(),
        torch.from_numpy(cells.colour),
        simple_channels=simple,
        gain=gain,
        geometry=tuple(geometry),
        noise=noise,
        image_size=image_size,
        trained=trained,
        cells=None if random else cells,
    )


def _random_like(filters: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """White Gaussian filters with the L2 norm of each given filter."""
    drawn = generator.standard_normal(filters.shape)
    norm = np.sqrt((filters**2).sum(axis=(1, 2), keepdims=True))
    return drawn / np.sqrt((drawn**2).sum(axis=(1, 2), keepdims=True)) * norm
