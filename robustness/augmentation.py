"""What a training image goes through before a network sees it: mirror, zoom, shift, colour, erasing."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from robustness.settings import Settings


class Augmentation(Settings):
    """How far training images are varied; 0 (or False) leaves that out.

    shift_pixels: each image is moved by up to that many pixels along each axis, its edge repeated.
    mirror: left and right are exchanged in half of the images.
    zoom: the size is multiplied by a factor from 1/(1 + zoom) to 1 + zoom, uniform in its logarithm.
    colour: brightness, contrast and each channel's gain are multiplied by factors whose logarithm is uniform
        within ±colour (the channels' within half of that).
    grey: share of images that lose their colour.
    erase: share of images in which a rectangle of 4 to 25 % of the area is filled with noise (Random Erasing,
        Z. Zhong et al., AAAI 2020).
    """

    shift_pixels: int = Field(default=0, ge=0, le=64)
    mirror: bool = False
    zoom: float = Field(default=0.0, ge=0, le=4)
    colour: float = Field(default=0.0, ge=0, le=2)
    grey: float = Field(default=0.0, ge=0, le=1)
    erase: float = Field(default=0.0, ge=0, le=1)

    def __call__(self, images: Tensor, generator: torch.Generator, size: int | None = None) -> Tensor:
        """Vary images (N, C, H, W) in [0, 1]; the same generator gives the same draws.

        ``size``: height and width of what comes out, by default those of the images.
        """
        size = size or images.shape[-1]
        if self.zoom:
            images = _resample(images, self.shift_pixels, self.mirror, self.zoom, size, generator)
        else:
            images = _move(images, self.shift_pixels, self.mirror, generator)
            if size != images.shape[-1]:
                images = functional.interpolate(images, size=size, mode="bilinear")
        if self.colour or self.grey:
            images = _recolour(images, self.colour, self.grey, generator)
        return _erase(images, self.erase, generator) if self.erase else images


def _uniform(n: int, generator: torch.Generator, *shape: int) -> Tensor:
    """(n, *shape) uniform in [−1, 1)."""
    return 2 * torch.rand(n, *shape, generator=generator) - 1


def _move(images: Tensor, shift: int, mirror: bool, generator: torch.Generator) -> Tensor:
    """Mirror and shift by whole pixels."""
    n, _, height, width = images.shape
    if mirror:
        mirrored = torch.rand(n, generator=generator) < 0.5
        images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)
    if shift == 0:
        return images
    dy, dx = torch.randint(-shift, shift + 1, (2, n), generator=generator)
    ys = (torch.arange(height) + dy[:, None]).clamp(0, height - 1)
    xs = (torch.arange(width) + dx[:, None]).clamp(0, width - 1)
    return images[torch.arange(n)[:, None, None], :, ys[:, :, None], xs[:, None, :]].movedim(3, 1)


def _resample(
    images: Tensor, shift: int, mirror: bool, zoom: float, size: int, generator: torch.Generator
) -> Tensor:
    """Mirror, zoom, shift and change of size in one bilinear resampling (at half the size: 2×2 means).

    None of these turns the image, so rows and columns are resampled one after the other, by products of
    matrices: half the time of ``grid_sample``.
    """
    n, channels, height, width = images.shape
    scale = (1 + zoom) ** -_uniform(n, generator)
    sign = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0) if mirror else torch.ones(n)
    dx, dy = 2 * shift / width * _uniform(n, generator), 2 * shift / height * _uniform(n, generator)
    columns = _interpolation(scale * sign, dx, width, size)
    images = images.reshape(n, channels * height, width) @ columns.transpose(1, 2)
    images = images.view(n, channels, height, size).transpose(1, 2).reshape(n, height, channels * size)
    images = _interpolation(scale, dy, height, size) @ images
    return images.view(n, size, channels, size).transpose(1, 2)


def _interpolation(scale: Tensor, shift: Tensor, source: int, target: int) -> Tensor:
    """(N, target, source): the weights with which an axis of ``source`` pixels is read at ``target`` places.

    Both reach from −1 to 1; the place at u reads at scale·u + shift, beyond the border the outermost pixel.
    """
    places = (2 * torch.arange(target) + 1) / target - 1
    pixels = ((scale[:, None] * places + shift[:, None] + 1) * source - 1) / 2
    distance = pixels.clamp(0, source - 1)[:, :, None] - torch.arange(source)
    return (1 - distance.abs()).clamp_min(0)


def _recolour(images: Tensor, strength: float, grey: float, generator: torch.Generator) -> Tensor:
    n, channels = images.shape[:2]
    mean = images.mean((1, 2, 3), keepdim=True)
    contrast = torch.exp(strength * _uniform(n, generator, 1, 1, 1))
    gain = torch.exp(strength * _uniform(n, generator, 1, 1, 1))
    gain = gain * torch.exp(strength / 2 * _uniform(n, generator, channels, 1, 1))
    if grey:
        plain = torch.rand(n, 1, 1, 1, generator=generator) < grey
        images = torch.where(plain, images.mean(1, keepdim=True).expand_as(images), images)
    return (gain * (mean + contrast * (images - mean))).clamp(0, 1)


def _erase(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    n, channels, height, width = images.shape
    area = 0.04 + 0.21 * torch.rand(n, generator=generator)
    aspect = torch.exp(_uniform(n, generator) * 0.7)
    half_height, half_width = (area * aspect).sqrt() * height / 2, (area / aspect).sqrt() * width / 2
    top, left = torch.rand(n, generator=generator) * height, torch.rand(n, generator=generator) * width
    chosen = torch.rand(n, generator=generator) < share
    rows = (torch.arange(height)[None] - top[:, None]).abs() < half_height[:, None]
    columns = (torch.arange(width)[None] - left[:, None]).abs() < half_width[:, None]
    inside = (rows[:, :, None] & columns[:, None, :] & chosen[:, None, None])[:, None]
    noise = torch.rand(n, channels, height, width, generator=generator)
    return torch.where(inside, noise, images)
