"""Corruptions in five severities, after ImageNet-C (Hendrycks & Dietterich 2019), for images of any size.

The constants are those that its authors chose for images of 64×64 pixels (Tiny-ImageNet-C); those of
ImageNet-C, made for 224, would destroy it. Lengths in pixels grow with the image (height / 64), the others do
not. Departures, because their tools are not pixel-exact at this size or need extra programs:

- defocus_blur: the image averaged over an exact disc, radii 1, 1.5, 2, 2.5, 3 (theirs begin below one
  pixel, where only their smoothing of the disc acts)
- motion_blur: the one-sided normal streak written out, without ImageMagick's rounding
- fog: 1/f^β noise instead of the diamond-square fractal, β = 1 + log2(decay), which has the same decay of
  amplitude from octave to octave
- glass_blur, snow, frost and elastic_transform are left out: sequential, or in need of photographs

Severity 0 is the image itself. Results are not rounded to 8 bits, except by jpeg_compression.
"""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from robustness.shifts.image_factors import Draws, pink_noise
from robustness.shifts.registry import register

CLEAN, SEVERITIES = 0, (0, 1, 2, 3, 4, 5)
REFERENCE_SIZE = 64

GAUSSIAN_SD = (0.04, 0.08, 0.12, 0.15, 0.18)
SHOT_PHOTONS = (250, 100, 50, 30, 15)
IMPULSE_SHARE = (0.01, 0.02, 0.05, 0.08, 0.14)
DEFOCUS_RADIUS = (1.0, 1.5, 2.0, 2.5, 3.0)  # pixels at 64
MOTION_SD = (1.0, 1.5, 2.0, 2.5, 3.0)  # pixels at 64
MOTION_LENGTH = (10, 10, 10, 10, 12)  # pixels at 64
ZOOM_MOST = (1.05, 1.10, 1.15, 1.20, 1.25)
FOG = ((0.4, 3.0), (0.7, 3.0), (1.0, 2.5), (1.5, 2.0), (2.0, 1.75))  # thickness, decay per octave
BRIGHTNESS_GAIN = (0.1, 0.2, 0.3, 0.4, 0.5)
CONTRAST_KEPT = (0.4, 0.3, 0.2, 0.1, 0.05)
PIXELATE_SIZE = (0.9, 0.8, 0.7, 0.6, 0.5)
JPEG_QUALITY = (65, 58, 50, 40, 25)


def gaussian_noise(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Normal noise on every value; one field per sample, stronger with severity."""
    return images + GAUSSIAN_SD[severity - 1] * draws.normal(*images.shape[1:])


def shot_noise(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Poisson noise of few photons."""
    photons = SHOT_PHOTONS[severity - 1]
    return draws.poisson(images * photons) / photons


def impulse_noise(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Salt and pepper on single values; the values hit at a severity are hit at every higher one."""
    share = IMPULSE_SHARE[severity - 1]
    chance, kind = draws.uniform(2, *images.shape[1:]).unbind(dim=1)
    return torch.where(chance < share, (kind < 0.5).to(images.dtype), images)


def defocus_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Convolved with a disc."""
    radius = DEFOCUS_RADIUS[severity - 1] * images.shape[2] / REFERENCE_SIZE
    return _convolve(images, disc(radius).to(images))


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


def motion_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Smeared along a streak of normal weights that starts at the pixel, at −45 to 45 degrees."""
    unit = images.shape[2] / REFERENCE_SIZE
    length = round(MOTION_LENGTH[severity - 1] * unit)
    sd = MOTION_SD[severity - 1] * unit
    angle = torch.deg2rad(draws.uniform(low=-45.0, high=45.0))
    steps = torch.arange(length + 1, device=images.device)
    weights = torch.exp(-(steps**2) / (2 * sd * sd))
    weights = weights / weights.sum()
    height, width = images.shape[2:]
    step = torch.stack([2 * torch.cos(angle) / width, 2 * torch.sin(angle) / height], dim=1)
    grid = _identity_grid(images)
    result = torch.zeros_like(images)
    for number, weight in enumerate(weights):
        moved = grid + number * step[:, None, None, :]
        result += weight * F.grid_sample(images, moved, padding_mode="border", align_corners=False)
    return result


def zoom_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """The mean of the image and of itself zoomed into by 1 to the most, in steps of 0.01."""
    steps = round((ZOOM_MOST[severity - 1] - 1) * 100)
    grid = _identity_grid(images)
    result = images.clone()
    for number in range(steps + 1):
        factor = 1 + number / 100
        result += F.grid_sample(images, grid / factor, padding_mode="border", align_corners=False)
    return result / (steps + 2)


def fog(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Veiled by a fractal field from 0 to 1 times the thickness, at the image's own greatest brightness."""
    thickness, decay = FOG[severity - 1]
    field = pink_noise(draws, 1, *images.shape[2:], exponent=1 + math.log2(decay))
    field = field - field.amin(dim=(2, 3), keepdim=True)
    field = field / field.amax(dim=(2, 3), keepdim=True).clamp_min(1e-8)
    brightest = images.amax(dim=(1, 2, 3), keepdim=True)
    return (images + thickness * field) * brightest / (brightest + thickness)


def brightness(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """The value of hue–saturation–value raised, hue and saturation kept."""
    value = images.amax(dim=1, keepdim=True)
    raised = (value + BRIGHTNESS_GAIN[severity - 1]).clamp(max=1)
    # Black has no hue: it turns grey.
    return torch.where(value > 0, images * raised / value.clamp_min(1e-8), raised)


def contrast(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Drawn towards each channel's mean."""
    mean = images.mean(dim=(2, 3), keepdim=True)
    return mean + CONTRAST_KEPT[severity - 1] * (images - mean)


def pixelate(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Downsampled by averaging and upsampled with hard edges."""
    height, width = images.shape[2:]
    kept = PIXELATE_SIZE[severity - 1]
    down, across = (_box_weights(length, int(length * kept)).to(images) for length in (height, width))
    small = down @ images @ across.T
    return F.interpolate(small, size=(height, width), mode="nearest-exact")


def jpeg_compression(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Encoded and decoded as a JPEG of low quality."""
    from PIL import Image

    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    decoded = []
    for picture in pixels:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=JPEG_QUALITY[severity - 1])
        decoded.append(np.asarray(Image.open(file)))
    return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).to(images) / 255


def _convolve(images: Tensor, kernel: Tensor) -> Tensor:
    """Every channel convolved with one odd square kernel; the image is mirrored at its edges."""
    half = kernel.shape[0] // 2
    channels = images.shape[1]
    padded = F.pad(images, (half, half, half, half), mode="reflect")
    return F.conv2d(padded, kernel.expand(channels, 1, *kernel.shape), groups=channels)


def _box_weights(before: int, after: int) -> Tensor:
    """Averages of ``before`` pixels over ``after`` equal boxes, by the part in the box: (after, before)."""
    edges = torch.arange(after + 1) * before / after
    pixel = torch.arange(before)[None, :]
    overlap = torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)
    return overlap.clamp_min(0) * after / before


def _identity_grid(images: Tensor) -> Tensor:
    matrix = torch.eye(2, 3, device=images.device, dtype=images.dtype).expand(len(images), 2, 3)
    return F.affine_grid(matrix, list(images.shape), align_corners=False)


_EFFECTS = {
    gaussian_noise: "normal noise on every value",
    shot_noise: "noise of few photons",
    impulse_noise: "single values turned to 0 or 1",
    defocus_blur: "blurred by a disc, as by a lens out of focus",
    motion_blur: "smeared along a line, as by a moving camera",
    zoom_blur: "smeared outwards, as by a zooming lens",
    fog: "veiled by drifting fog",
    brightness: "brightened",
    contrast: "contrast taken away",
    pixelate: "averaged over coarse pixels",
    jpeg_compression: "coded as JPEG of low quality",
}
"""Eleven of ImageNet-C's fifteen corruptions, under its names."""
for _effect, _description in _EFFECTS.items():
    register(
        f"corruption/{_effect.__name__}",
        levels=SEVERITIES,
        clean_level=CLEAN,
        unit="severity",
        description=_description,
    )(_effect)
