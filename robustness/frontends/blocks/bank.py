"""A fixed filter bank in the place of a stem: V1 block, bottleneck, and what fits its map to the network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from robustness.errors import UserError
from robustness.frontends.blocks import gabor_filters
from robustness.frontends.blocks.noise import Noise
from robustness.frontends.blocks.v1_block import V1Block, placement
from robustness.frontends.options import FrontendOptions
from robustness.frontends.registry import ReplacedStem
from robustness.seeds import numpy_generator, torch_generator


class Resize(nn.Module):
    """Bilinear interpolation of maps (N, C, h, w) by the ratio of two sizes (height, width), rounded down."""

    def __init__(self, source: tuple[int, int], target: tuple[int, int]) -> None:
        super().__init__()
        self.source, self.target = source, target

    def forward(self, x: Tensor) -> Tensor:
        ratios = zip(x.shape[-2:], self.source, self.target, strict=True)
        size = [extent * target // source for extent, source, target in ratios]
        return nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=False)

    def extra_repr(self) -> str:
        return f"{self.source} to {self.target}"


def filter_bank(
    stem: ReplacedStem, *, noise: bool, random: bool = False, trained: bool = False
) -> tuple[nn.Module, ...]:
    """A V1 block and a trainable bottleneck for the stem's first module, identities for the others.

    noise: whether the block has the noise of the options; random: white filters of the Gabor filters' size
    and norm; trained: whether the filters are. Filters and bottleneck come from generators seeded by
    (seed, purpose). A network that organises itself (``self_organise``) gets a relu after the bottleneck.
    Raises UserError for a batch normalisation that nothing would train.
    """
    options = stem.options
    if options.batch_norm and stem.self_organises:
        raise UserError(
            f"frontend.batch_norm: {stem.architecture} organises itself, so nothing would train the batch "
            "normalisation; set frontend_options: {batch_norm: false} for this model"
        )
    _, channels, height, width = stem.output.shape
    block = _block(stem, (height, width), noise=noise, random=random, trained=trained)
    front_end = nn.Sequential()
    front_end.add_module("block", block)
    front_end.add_module("bottleneck", _bottleneck(channels, options, stem.seed))
    if options.batch_norm:
        front_end.add_module("batch_norm", nn.BatchNorm2d(channels))
    if (block.geometry[0][2], block.geometry[1][2]) != (height, width):
        size = (block.geometry[0][2], block.geometry[1][2])
        front_end.add_module("resize", Resize(size, (height, width)))
    if stem.self_organises:
        # Nothing trains this bottleneck, and Fukushima's cells read activities that are not negative.
        front_end.add_module("rectify", nn.ReLU())
    return (front_end, *(nn.Identity() for _ in stem.modules[1:]))


def noise_of(options: FrontendOptions, *, rectify: bool) -> Noise:
    """The noise that the options describe; neuronal where they say none."""
    kind = "neuronal" if options.noise == "none" else options.noise
    return Noise(
        kind, scale=options.noise_scale, level=options.noise_level, std=options.gaussian_std, rectify=rectify
    )


def _block(stem: ReplacedStem, size: tuple[int, int], *, noise: bool, random: bool, trained: bool) -> V1Block:
    options, image_size = stem.options, stem.image_size
    ppd = options.pixels_per_degree(image_size)
    simple = options.simple_channels
    cells = gabor_filters.sample(
        simple + options.complex_channels,
        numpy_generator(stem.seed, "frontend", "gabor"),
        sf_min=options.sf_min,
        sf_max=options.sf_max,
        uniform=options.sampling == "uniform",
        colours=stem.in_channels,
    ).sorted_by_colour(simple)
    real = gabor_filters.filters(cells, options.kernel_size, ppd)
    partner = gabor_filters.filters(cells, options.kernel_size, ppd, quadrature=True)[simple:]
    filters = np.concatenate([real, partner])
    if random:
        filters = _random_like(filters, numpy_generator(stem.seed, "frontend", "random"))
    stride = max(stem.stride, options.minimum_stride)
    geometry = []
    for extent in size:
        count = extent if stride == stem.stride else -(-extent * stem.stride // stride)
        geometry.append((stride, placement(image_size, count, stride), count))
    return V1Block(
        torch.from_numpy(filters).float(),
        torch.from_numpy(cells.colour),
        simple_channels=simple,
        gain=options.gain,
        geometry=tuple(geometry),
        noise=noise_of(options, rectify=True) if noise and options.noise != "none" else None,
        image_size=image_size,
        trained=trained,
        cells=None if random else cells,
    )


def _random_like(filters: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """White Gaussian filters with the L2 norm of each given filter."""
    drawn = generator.standard_normal(filters.shape)
    norm = np.sqrt((filters**2).sum(axis=(1, 2), keepdims=True))
    return drawn / np.sqrt((drawn**2).sum(axis=(1, 2), keepdims=True)) * norm


def _bottleneck(channels: int, options: FrontendOptions, seed: int) -> nn.Conv2d:
    """The trainable 1×1 convolution to the stem's channels (He initialisation, fan out)."""
    bottleneck = nn.Conv2d(options.simple_channels + options.complex_channels, channels, 1, bias=False)
    nn.init.kaiming_normal_(
        bottleneck.weight, mode="fan_out", generator=torch_generator(seed, "frontend", "bottleneck")
    )
    return bottleneck
