"""What fits a block's maps to the network behind it: bottleneck, batch normalisation, interpolation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustness.errors import UserError
from robustness.frontends.registry import ReplacedStem
from robustness.seeds import torch_generator


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


def fitted(stem: ReplacedStem, **parts: nn.Module) -> tuple[nn.Module, ...]:
    """The parts in turn and a trainable bottleneck for the stem's first module, identities for the others.

    The parts take images (N, C, H, W) to maps of any channels and size, the last of them to the
    bottleneck's input; they are run on one image to learn both. The bottleneck comes from a generator seeded
    by (seed, purpose). A network that organises itself (``self_organise``) gets a relu after it. Raises
    UserError for a batch normalisation that nothing would train.
    """
    options = stem.options
    if options.batch_norm and stem.self_organises:
        raise UserError(
            f"frontend.batch_norm: {stem.architecture} organises itself, so nothing would train the batch "
            "normalisation; set frontend_options: {batch_norm: false} for this model"
        )
    _, channels, *size = stem.output.shape
    front_end = nn.Sequential()
    for name, part in parts.items():
        front_end.add_module(name, part)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        maps = front_end(torch.zeros(1, stem.in_channels, stem.image_size, stem.image_size))
    front_end.add_module("bottleneck", bottleneck(maps.shape[1], channels, stem.seed))
    if options.batch_norm:
        front_end.add_module("batch_norm", nn.BatchNorm2d(channels))
    if (source := tuple(maps.shape[2:])) != tuple(size):
        front_end.add_module("resize", Resize(source, tuple(size)))
    if stem.self_organises:
        # Nothing trains this bottleneck, and Fukushima's cells read activities that are not negative.
        front_end.add_module("rectify", nn.ReLU())
    return (front_end, *(nn.Identity() for _ in stem.modules[1:]))


def bottleneck(inputs: int, channels: int, seed: int) -> nn.Conv2d:
    """A trainable 1×1 convolution without bias (He initialisation, fan out)."""
    convolution = nn.Conv2d(inputs, channels, 1, bias=False)
    generator = torch_generator(seed, "frontend", "bottleneck")
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", generator=generator)
    return convolution
