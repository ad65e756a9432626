"""Small CNNs really trained on scikit-learn's digits, in a few seconds: what the attack tests attack."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from robustness.frontends.blocks.noise import Noise

FAINT = 0.15
"""Contrast of the images: digits of full contrast stand far from each other for 8/255 to matter."""


@lru_cache(maxsize=1)
def digit_images(size: int = 16) -> tuple[Tensor, Tensor]:
    """1797 handwritten digits as (N, 3, size, size) in [0.425, 0.575], and labels 0–9."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
    images = functional.interpolate(images, (size, size), mode="bilinear", align_corners=False).clamp(0, 1)
    images = 0.5 + FAINT * (images - 0.5)
    order = np.random.default_rng(0).permutation(len(images))
    return images.repeat(1, 3, 1, 1)[order], torch.tensor(digits.target)[order]


class Normalise(nn.Module):
    """Maps the faint images back to [-1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - 0.5) / (FAINT / 2)


def network(width: int = 16, noise: float = 0.0) -> nn.Sequential:
    """Normalisation, three convolutions, a linear read-out; Gaussian noise of that size after the first."""
    return nn.Sequential(
        Normalise(),
        nn.Conv2d(3, width, 3, padding=1),
        nn.ReLU(),
        Noise("gaussian", std=noise) if noise else nn.Identity(),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * width, 10),
    )


@lru_cache(maxsize=8)
def trained(
    adversarial_epsilon: float = 0.0, epochs: int = 6, width: int = 16, seed: int = 0, noise: float = 0.0
) -> tuple[nn.Module, Tensor, Tensor]:
    """A trained network and the 497 test images with labels. With ``adversarial_epsilon`` it is trained on
    L∞ FGSM examples from a random start, so that its robust accuracy falls slowly with ε."""
    images, labels = digit_images()
    train_x, train_y = images[:1300], labels[:1300]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = network(width, noise)
        optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
        for epoch in range(epochs):
            for rows in torch.randperm(1300).split(64):
                x, y = train_x[rows], train_y[rows]
                if adversarial_epsilon:
                    x = _fgsm(net, x, y, adversarial_epsilon * min(1, (epoch + 1) / 3))
                loss = functional.cross_entropy(net(x), y)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    return net.eval(), images[1300:], labels[1300:]


def _fgsm(net: nn.Module, x: Tensor, y: Tensor, epsilon: float) -> Tensor:
    start = (x + torch.empty_like(x).uniform_(-epsilon, epsilon)).clamp(0, 1).requires_grad_()
    (slope,) = torch.autograd.grad(functional.cross_entropy(net(start), y), start)
    moved = (start + 1.25 * epsilon * slope.sign()).detach()
    return torch.minimum(torch.maximum(moved, x - epsilon), x + epsilon).clamp(0, 1)
