"""Front-ends by name, and their installation as a network's stem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from robustness.errors import UserError, nearest
from robustness.frontends import gabor
from robustness.frontends.block import V1Block, placement
from robustness.frontends.noise import Noise
from robustness.frontends.options import FrontendOptions
from robustness.seeds import numpy_generator, torch_generator

if TYPE_CHECKING:
    from robustness.architectures import Architecture

FRONTENDS = {
    "learned": "the architecture's own stem",
    "vone": "fixed Gabor bank with neuronal noise",
    "gabor": "the fixed Gabor bank without noise",
    "random": "fixed random filters of the Gabor filters' size and norm, with the noise",
    "learned_noise": "the architecture's own stem with the noise on its output",
    "gabor_trained": "the bank with the noise, trained from its Gabor initialisation",
}


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


def names() -> tuple[str, ...]:
    """The front-ends' names."""
    return tuple(FRONTENDS)


def install(
    network: nn.Module,
    architecture: Architecture,
    name: str,
    *,
    image_size: int,
    in_channels: int = 3,
    seed: int,
    options: FrontendOptions | None = None,
) -> nn.Module:
    """Replace the network's stem by the front-end `name` and return the network.

    The original stem is run on images of image_size × image_size pixels to learn which (channels, height,
    width) the rest of the network needs; the front-end gives exactly that. It replaces the stem's first
    module, as ``block``, ``bottleneck`` and what the options add; identities replace the other modules.
    Filters and bottleneck come from generators seeded by (seed, purpose); torch's global generator is left
    alone. A network that organises itself (``self_organise``) gets a relu after the bottleneck.
    Raises UserError for an unknown name or settings that do not fit the image size.
    """
    if name not in FRONTENDS:
        raise UserError(f"frontend: {name!r} is unknown; {nearest(name, FRONTENDS)}")
    options = options or FrontendOptions()
    if name == "learned":
        return network
    if options.batch_norm and hasattr(network, "self_organise"):
        raise UserError(
            f"frontend.batch_norm: {architecture.name} organises itself, so nothing would train the batch "
            "normalisation; set frontend_options: {batch_norm: false} for this model"
        )
    paths = architecture.stem.modules
    if name == "learned_noise":
        rectify = bool(_run_stem(network, paths, image_size, in_channels, seed).min() >= 0)
        stem = network.get_submodule(paths[-1])
        _replace(network, paths[-1], nn.Sequential(stem, _noise(options, rectify=rectify)))
        return network
    _, channels, height, width = _run_stem(network, paths, image_size, in_channels, seed).shape
    block = _block(name, options, image_size, in_channels, (height, width), architecture.stem.stride, seed)
    front_end = _with_bottleneck(block, channels, (height, width), options, seed)
    if hasattr(network, "self_organise"):
        # Nothing trains this bottleneck, and Fukushima's cells read activities that are not negative.
        front_end.add_module("rectify", nn.ReLU())
    _replace(network, paths[0], front_end)
    for path in paths[1:]:
        _replace(network, path, nn.Identity())
    return network


def _block(
    name: str,
    options: FrontendOptions,
    image_size: int,
    in_channels: int,
    size: tuple[int, int],
    stem_stride: int,
    seed: int,
) -> V1Block:
    ppd = options.pixels_per_degree(image_size)
    simple = options.simple_channels
    cells = gabor.sample(
        simple + options.complex_channels,
        numpy_generator(seed, "frontend", "gabor"),
        sf_min=options.sf_min,
        sf_max=options.sf_max,
        uniform=options.sampling == "uniform",
        colours=in_channels,
    ).sorted_by_colour(simple)
    real = gabor.filters(cells, options.kernel_size, ppd)
    partner = gabor.filters(cells, options.kernel_size, ppd, quadrature=True)[simple:]
    filters = np.concatenate([real, partner])
    if name == "random":
        filters = _random_like(filters, numpy_generator(seed, "frontend", "random"))
    stride = max(stem_stride, options.minimum_stride)
    geometry = []
    for extent in size:
        count = extent if stride == stem_stride else -(-extent * stem_stride // stride)
        geometry.append((stride, placement(image_size, count, stride), count))
    noisy = name != "gabor" and options.noise != "none"
    return V1Block(
        torch.from_numpy(filters).float(),
        torch.from_numpy(cells.colour),
        simple_channels=simple,
        gain=options.gain,
        geometry=tuple(geometry),
        noise=_noise(options, rectify=True) if noisy else None,
        image_size=image_size,
        trained=name == "gabor_trained",
        cells=None if name == "random" else cells,
    )


def _random_like(filters: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """White Gaussian filters with the L2 norm of each given filter."""
    drawn = generator.standard_normal(filters.shape)
    norm = np.sqrt((filters**2).sum(axis=(1, 2), keepdims=True))
    return drawn / np.sqrt((drawn**2).sum(axis=(1, 2), keepdims=True)) * norm


def _noise(options: FrontendOptions, *, rectify: bool) -> Noise:
    kind = "neuronal" if options.noise == "none" else options.noise
    return Noise(
        kind, scale=options.noise_scale, level=options.noise_level, std=options.gaussian_std, rectify=rectify
    )


def _with_bottleneck(
    block: V1Block, channels: int, size: tuple[int, int], options: FrontendOptions, seed: int
) -> nn.Sequential:
    """The block and the trainable 1×1 convolution to the stem's channels (He initialisation, fan out)."""
    cells = options.simple_channels + options.complex_channels
    bottleneck = nn.Conv2d(cells, channels, 1, bias=False)
    nn.init.kaiming_normal_(
        bottleneck.weight, mode="fan_out", generator=torch_generator(seed, "frontend", "bottleneck")
    )
    front_end = nn.Sequential()
    front_end.add_module("block", block)
    front_end.add_module("bottleneck", bottleneck)
    if options.batch_norm:
        front_end.add_module("batch_norm", nn.BatchNorm2d(channels))
    if (block.geometry[0][2], block.geometry[1][2]) != size:
        front_end.add_module("resize", Resize((block.geometry[0][2], block.geometry[1][2]), size))
    return front_end


def _run_stem(
    network: nn.Module, paths: Sequence[str], image_size: int, in_channels: int, seed: int
) -> Tensor:
    """Output of the original stem for four images, with no trace left in the network.

    Two of seeded noise, opposite to each other, and the two constant ones: a stem whose responses can be
    negative shows it on one of them.
    """
    modules = [network.get_submodule(path) for path in paths]
    training = [(part, part.training) for module in modules for part in module.modules()]
    shape = (1, in_channels, image_size, image_size)
    image = torch.randn(shape, generator=torch_generator(seed, "frontend", "dry run"))
    image = torch.cat([image, -image, torch.ones(shape), -torch.ones(shape)])
    try:
        for module in modules:
            module.eval()
        with torch.no_grad():
            output = image
            for module in modules:
                output = module(output)
    finally:
        for part, mode in training:
            part.training = mode
    if output.ndim != 4:
        raise UserError(
            f"the stem {', '.join(paths)} gives shape {tuple(output.shape)}; a map (N, C, H, W) is needed"
        )
    return output


def _replace(network: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, child = path.rpartition(".")
    setattr(network.get_submodule(parent), child, module)
