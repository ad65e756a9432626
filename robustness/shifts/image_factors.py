"""Factors that act on finished images: what they have in common.

An image factor is a pure function of the images, the level and one seed per sample. A sample's outcome
depends on its own seed alone, not on its batch; seeds do not depend on the level, so that the levels of a
factor are paired: the same noise but stronger, the same direction but further.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

TARGET = 1
"""The value of the labelled object in a mask."""


class Draws:
    """Random numbers for a batch, sample i's from a generator of its own with seed ``seeds[i]``.

    They are drawn on the CPU in float32 and moved to ``device``, so that every device gets the same.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self.generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        self.device = device

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform numbers (N, *shape)."""
        rows = [torch.rand(shape, generator=generator) for generator in self.generators]
        return low + (high - low) * torch.stack(rows).to(self.device)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers (N, *shape)."""
        return torch.stack([torch.randn(shape, generator=each) for each in self.generators]).to(self.device)

    def sides(self) -> Tensor:
        """−1 or 1, (N,)."""
        return torch.where(self.uniform() < 0.5, -1.0, 1.0)

    def poisson(self, rates: Tensor) -> Tensor:
        """Poisson counts of ``rates`` (N, …)."""
        rows = [
            torch.poisson(rate, generator=each)
            for rate, each in zip(rates.cpu(), self.generators, strict=True)
        ]
        return torch.stack(rows).to(self.device)


def pink_noise(draws: Draws, channels: int, height: int, width: int, exponent: float = 1.0) -> Tensor:
    """Fields (N, channels, height, width) whose amplitude falls with frequency to the power of ``exponent``.

    Each is centred and scaled to a standard deviation of 1 (exponent 1 is the statistics of natural scenes).
    """
    white = draws.normal(channels, height, width)
    down = torch.fft.fftfreq(height, device=white.device)[:, None]
    across = torch.fft.rfftfreq(width, device=white.device)[None, :]
    frequency = torch.sqrt(down**2 + across**2)
    frequency[0, 0] = 1.0
    gain = frequency**-exponent
    gain[0, 0] = 0.0  # no mean
    field = torch.fft.irfft2(torch.fft.rfft2(white) * gain, s=(height, width))
    return field / field.std(dim=(2, 3), keepdim=True).clamp_min(1e-8)


def pink_texture(draws: Draws, height: int, width: int) -> Tensor:
    """Textures (N, 3, height, width) in [0, 1] from 1/f noise, each about a random colour."""
    colour = draws.uniform(3, low=0.25, high=0.75)[:, :, None, None]
    common = pink_noise(draws, 1, height, width)
    own = pink_noise(draws, 3, height, width)
    return (colour + 0.16 * common + 0.08 * own).clamp(0, 1)


def border_colour(images: Tensor) -> Tensor:
    """The median colour of each image's outermost pixels, (N, C, 1, 1): what an even ground continues as."""
    rim = torch.cat([images[:, :, 0], images[:, :, -1], images[:, :, 1:-1, 0], images[:, :, 1:-1, -1]], dim=2)
    return rim.median(dim=2).values[:, :, None, None]
