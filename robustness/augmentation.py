"""Augmentation of training images: flip, translation, scale jitter, colour jitter, random erasing."""

from __future__ import annotations

from functools import partial

import torch
from pydantic import Field
from torch import Tensor

from robustness.settings import Settings


class Augmentation(Settings):
    """How training images are augmented; 0 (or False) leaves a transform out.

    translate_pixels: each image is translated by up to that many pixels along each axis, its edge repeated.
    hflip: half of the images are flipped horizontally.
    scale_jitter: images are scaled by a factor from 1/(1 + scale_jitter) to 1 + scale_jitter, log-uniform.
    color_jitter: brightness, contrast and each channel's gain are multiplied by log-uniform factors, up to
        exp(±color_jitter), the channels' up to exp(±color_jitter/2).
    grayscale: probability that an image is converted to grayscale (the mean of its channels).
    random_erasing: probability that a rectangle of 4 to 25 % of the area is filled with uniform noise
        (Z. Zhong et al., Random Erasing Data Augmentation, AAAI 2020).
    """

    translate_pixels: int = Field(ge=0, le=64)
    hflip: bool = True
    scale_jitter: float = Field(default=0.0, ge=0, le=4)
    color_jitter: float = Field(default=0.0, ge=0, le=2)
    grayscale: float = Field(default=0.0, ge=0, le=1)
    random_erasing: float = Field(default=0.0, ge=0, le=1)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Augment images (N, C, H, W), float32 in [0, 1], on their device; equal generators give equal draws.

        ``generator``: of the CPU, so that draws do not depend on the device.
        """
        if self.scale_jitter:
            images = _resample(images, self.translate_pixels, self.hflip, self.scale_jitter, generator)
        else:
            images = _translate(images, self.translate_pixels, self.hflip, generator)
        if self.color_jitter or self.grayscale:
            images = _jitter_colors(images, self.color_jitter, self.grayscale, generator)
        return _erase(images, self.random_erasing, generator) if self.random_erasing else images


def _uniform(n: int, generator: torch.Generator, *shape: int) -> Tensor:
    """(n, *shape) uniform in [−1, 1)."""
    return 2 * torch.rand(n, *shape, generator=generator) - 1


def _translate(images: Tensor, most: int, hflip: bool, generator: torch.Generator) -> Tensor:
    """Flip and translate by whole pixels."""
    n, _, height, width = images.shape
    if hflip:
        flipped = (torch.rand(n, generator=generator) < 0.5).to(images.device)
        images = torch.where(flipped.view(-1, 1, 1, 1), images.flip(3), images)
    if most == 0:
        return images
    dy, dx = torch.randint(-most, most + 1, (2, n), generator=generator).to(images.device)
    place = partial(torch.arange, device=images.device)
    ys = (place(height) + dy[:, None]).clamp(0, height - 1)
    xs = (place(width) + dx[:, None]).clamp(0, width - 1)
    return images[place(n)[:, None, None], :, ys[:, :, None], xs[:, None, :]].movedim(3, 1)


def _resample(images: Tensor, most: int, hflip: bool, jitter: float, generator: torch.Generator) -> Tensor:
    """Flip, scale and translate in one bilinear resampling.

    The transform is separable, so rows and columns are resampled one after the other, by matrix products:
    half the time of ``grid_sample``.
    """
    n, channels, height, width = images.shape
    scale = (1 + jitter) ** -_uniform(n, generator)
    sign = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0) if hflip else torch.ones(n)
    dx, dy = 2 * most / width * _uniform(n, generator), 2 * most / height * _uniform(n, generator)
    scale, sign, dx, dy = torch.stack([scale, sign, dx, dy]).to(images.device)
    columns = _interpolation(scale * sign, dx, width)
    images = images.reshape(n, channels * height, width) @ columns.transpose(1, 2)
    images = images.view(n, channels, height, width).transpose(1, 2).reshape(n, height, channels * width)
    images = _interpolation(scale, dy, height) @ images
    return images.view(n, height, channels, width).transpose(1, 2)


def _interpolation(scale: Tensor, shift: Tensor, size: int) -> Tensor:
    """(N, size, size): the weights with which an axis of ``size`` pixels is read at as many places.

    It reaches from −1 to 1; the place at u reads at scale·u + shift, beyond the border the outermost pixel.
    """
    pixel = torch.arange(size, device=scale.device)
    places = (2 * pixel + 1) / size - 1
    pixels = ((scale[:, None] * places + shift[:, None] + 1) * size - 1) / 2
    distance = pixels.clamp(0, size - 1)[:, :, None] - pixel
    return (1 - distance.abs()).clamp_min(0)


def _jitter_colors(images: Tensor, strength: float, grayscale: float, generator: torch.Generator) -> Tensor:
    n, channels = images.shape[:2]
    mean = images.mean((1, 2, 3), keepdim=True)
    contrast = torch.exp(strength * _uniform(n, generator, 1, 1, 1))
    gain = torch.exp(strength * _uniform(n, generator, 1, 1, 1))
    gain = gain * torch.exp(strength / 2 * _uniform(n, generator, channels, 1, 1))
    contrast, gain = contrast.to(images.device), gain.to(images.device)
    if grayscale:
        gray = (torch.rand(n, 1, 1, 1, generator=generator) < grayscale).to(images.device)
        images = torch.where(gray, images.mean(1, keepdim=True).expand_as(images), images)
    return (gain * (mean + contrast * (images - mean))).clamp(0, 1)


def _erase(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    n, channels, height, width = images.shape
    area = 0.04 + 0.21 * torch.rand(n, generator=generator)
    aspect = torch.exp(_uniform(n, generator) * 0.7)
    half_height, half_width = (area * aspect).sqrt() * height / 2, (area / aspect).sqrt() * width / 2
    top, left = torch.rand(n, generator=generator) * height, torch.rand(n, generator=generator) * width
    chosen = torch.rand(n, generator=generator) < probability
    rows = (torch.arange(height)[None] - top[:, None]).abs() < half_height[:, None]
    columns = (torch.arange(width)[None] - left[:, None]).abs() < half_width[:, None]
    inside = (rows[:, :, None] & columns[:, None, :] & chosen[:, None, None])[:, None]
    noise = torch.rand(n, channels, height, width, generator=generator)
    return torch.where(inside.to(images.device), noise.to(images.device), images)
