"""Small networks with known answers, and images to show them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn


class SmallNet(nn.Module):
    """Two convolutions and a linear layer on 16×16 images, with the stages of the project."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 5, stride=2, padding=2)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(8, 12, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(12)
        self.relu2 = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(12, classes)
        self.stages = {"stem": "relu1", "middle": "relu2", "penultimate": "flatten"}

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.conv1(x))
        return self.head(self.flatten(self.pool(self.relu2(self.norm2(self.conv2(x))))))


class Weighted(nn.Module):
    """Two classes: 0 scores nothing, 1 the weighted sum of the pixels and an offset, rectified."""

    def __init__(self, weight: Tensor, offset: float = 0.0) -> None:
        super().__init__()
        self.weight, self.offset = nn.Parameter(weight), offset
        self.products, self.relu = nn.Identity(), nn.ReLU()
        self.stages = {"stem": "products"}

    def forward(self, x: Tensor) -> Tensor:
        score = self.relu(self.offset + self.products(x * self.weight).sum((1, 2, 3)))
        return torch.stack([torch.zeros_like(score), score], 1)


def gabor(size: int, theta: float, frequency: float, sigma: float, phase: float = 0.0) -> Tensor:
    """A Gabor function on a size × size grid; frequency in cycles per pixel, theta the wave's direction."""
    axis = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    along = x * torch.cos(torch.tensor(theta)) + y * torch.sin(torch.tensor(theta))
    envelope = torch.exp(-(x**2 + y**2) / (2 * sigma**2))
    return (envelope * torch.cos(2 * torch.pi * frequency * along + phase)).float()


@pytest.fixture
def small_net() -> nn.Module:
    torch.manual_seed(3)
    return SmallNet().eval()


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    return four_classes()


def four_classes() -> tuple[Tensor, Tensor]:
    """24 images (3, 16, 16) in [0, 1] of four classes, and their labels."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(24) % 4
    centres = torch.rand(4, 3, 16, 16, generator=generator)
    return (0.7 * centres[labels] + 0.3 * torch.rand(24, 3, 16, 16, generator=generator)), labels
