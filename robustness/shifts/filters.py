"""Linear filters of images (N, C, H, W): discs, streaks, Gaussians, boxes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def disc(radius: float, samples: int = 16) -> Tensor:
    """The kernel (K, K), sum 1, that averages an image over a disc of ``radius`` pixels.

    The image is interpolated bilinearly, since a disc within one pixel would otherwise change nothing.
    """
    half = math.ceil(radius) + 1
    count = math.ceil(2 * radius * samples)
    line = ((torch.arange(count, dtype=torch.float64) + 0.5) / count * 2 - 1) * radius
    y, x = (part.flatten() for part in torch.meshgrid(line, line, indexing="ij"))
    inside = x**2 + y**2 <= radius**2
    y, x = y[inside] + half, x[inside] + half
    kernel = torch.zeros(2 * half + 1, 2 * half + 1, dtype=torch.float64)
    for row, across in ((y.floor(), 1 - y.frac()), (y.floor() + 1, y.frac())):
        for column, down in ((x.floor(), 1 - x.frac()), (x.floor() + 1, x.frac())):
            kernel.index_put_((row.long(), column.long()), across * down, accumulate=True)
    return (kernel / kernel.sum()).float()


def streak(images: Tensor, length: int, sd: float, degrees: Tensor) -> Tensor:
    """Smeared along a line at an angle (N,) of its own each; length and sd in pixels."""
    angle = torch.deg2rad(degrees)
    steps = torch.arange(length + 1, device=images.device)
    weights = torch.exp(-(steps**2) / (2 * sd * sd))
    weights = weights / weights.sum()
    height, width = images.shape[2:]
    step = torch.stack([2 * torch.cos(angle) / width, 2 * torch.sin(angle) / height], dim=1)
    grid = identity_grid(images)
    result = torch.zeros_like(images)
    for number, weight in enumerate(weights):
        moved = grid + number * step[:, None, None, :]
        result += weight * F.grid_sample(images, moved, padding_mode="border", align_corners=False)
    return result


def convolve(images: Tensor, kernel: Tensor) -> Tensor:
    """Every channel convolved with one odd square kernel; the image is mirrored at its edges."""
    half = kernel.shape[0] // 2
    channels = images.shape[1]
    padded = F.pad(images, (half, half, half, half), mode="reflect")
    return F.conv2d(padded, kernel.expand(channels, 1, *kernel.shape), groups=channels)


def blurred(images: Tensor, sd: float) -> Tensor:
    """Convolved with a Gaussian, ``sd`` in pixels, that ends at four of them; the image is mirrored."""
    if sd <= 0:
        return images
    down, across = (gaussian_weights(length, sd).to(images) for length in images.shape[2:])
    return down @ images @ across.T


def gaussian_weights(length: int, sd: float) -> Tensor:
    """Each row the weights of all pixels in one blurred pixel: (length, length), rows of sum 1."""
    offsets = torch.arange(-math.ceil(4 * sd), math.ceil(4 * sd) + 1)
    kernel = torch.exp(-0.5 * (offsets.double() / sd) ** 2)
    places = (torch.arange(length)[:, None] + offsets) % (2 * length)
    places = torch.where(places < length, places, 2 * length - 1 - places)
    weights = torch.zeros(length, length, dtype=torch.float64)
    return weights.scatter_add_(1, places, (kernel / kernel.sum()).expand(length, -1)).float()


def box_weights(before: int, after: int) -> Tensor:
    """Averages of ``before`` pixels over ``after`` equal boxes, by the part in the box: (after, before)."""
    edges = torch.arange(after + 1) * before / after
    pixel = torch.arange(before)[None, :]
    overlap = torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)
    return overlap.clamp_min(0) * after / before


def identity_grid(images: Tensor) -> Tensor:
    """Where ``grid_sample`` finds every pixel of an image itself, (N, H, W, 2) from −1 to 1."""
    matrix = torch.eye(2, 3, device=images.device, dtype=images.dtype).expand(len(images), 2, 3)
    return F.affine_grid(matrix, list(images.shape), align_corners=False)
