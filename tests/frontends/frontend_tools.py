"""A small network with a stem, and what several tests of the front-ends build from it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustness import frontends
from robustness.architectures.registry import Stem
from robustness.frontends import FrontendOptions

SMALL = FrontendOptions(simple_channels=9, complex_channels=7)


class StandIn:
    """What install needs of an architecture."""

    name = "stand-in"

    def __init__(self, stem: Stem) -> None:
        self.stem = stem


class TinyNet(nn.Module):
    """Images (N, 3, H, W) → logits (N, 5); the stem halves twice, like a ResNet's."""

    architecture = StandIn(Stem(("conv", "act", "pool"), stride=4, channels=6))

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 7, stride=2, padding=3)
        self.act = nn.ReLU()
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.head = nn.Sequential(nn.Conv2d(6, 8, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 5))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.pool(self.act(self.conv(images))))


def tiny(name: str, seed: int = 0, options: FrontendOptions = SMALL, image_size: int = 32) -> nn.Module:
    """TinyNet with the front-end `name`, always with the same weights after the stem."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = TinyNet()
    frontends.install(network, TinyNet.architecture, name, image_size=image_size, seed=seed, options=options)
    return network.eval()


def images(count: int, size: int = 32, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))
