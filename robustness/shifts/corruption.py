"""Corruptions in five severities, after ImageNet-C (Hendrycks & Dietterich 2019), for images of any size.

The constants are those that its authors chose for images of 64×64 pixels (Tiny-ImageNet-C); those of
ImageNet-C, made for 224, would destroy it. Lengths in pixels grow with the image (height / 64), the others do
not. Departures, because their tools are not pixel-exact at this size or need extra programs:

- defocus_blur: the image averaged over an exact disc, radii 1, 1.5, 2, 2.5, 3 (theirs begin below one
  pixel, where only their smoothing of the disc acts)
- motion_blur: the one-sided normal streak written out, without ImageMagick's rounding
- fog: 1/f^β noise instead of the diamond-square fractal, β = 1 + log2(decay), which has the same decay of
  amplitude from octave to octave
- glass_blur: each pixel takes the value of a neighbour, as in their files (their swap of two numpy views
  copies one onto the other)
- snow: the streak of motion_blur
- frost: their photographs, from the package ``imagecorruptions``

Blurs mirror the image at its edges.

Severity 0 is the image itself. Results are not rounded to 8 bits, except by jpeg_compression.
"""

from __future__ import annotations

import importlib.util
import io
import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from robustness.errors import UserError
from robustness.shifts.filters import blurred, box_weights, convolve, disc, identity_grid, streak
from robustness.shifts.image_factors import Draws, pink_noise
from robustness.shifts.registry import register

CLEAN, SEVERITIES = 0, (0, 1, 2, 3, 4, 5)
REFERENCE_SIZE = 64
LUMINANCE = (0.299, 0.587, 0.114)
"""The weights of red, green and blue (ITU-R BT.601)."""

GAUSSIAN_SD = (0.04, 0.08, 0.12, 0.15, 0.18)
SHOT_PHOTONS = (250, 100, 50, 30, 15)
IMPULSE_SHARE = (0.01, 0.02, 0.05, 0.08, 0.14)
DEFOCUS_RADIUS = (1.0, 1.5, 2.0, 2.5, 3.0)  # pixels at 64
GLASS = ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2))
"""Blur and reach in pixels at 64, rounds."""
MOTION_SD = (1.0, 1.5, 2.0, 2.5, 3.0)  # pixels at 64
MOTION_LENGTH = (10, 10, 10, 10, 12)  # pixels at 64
ZOOM_MOST = (1.05, 1.10, 1.15, 1.20, 1.25)
SNOW = (
    (0.1, 0.2, 1.0, 0.6, 8, 3, 0.8),
    (0.1, 0.2, 1.0, 0.5, 10, 4, 0.8),
    (0.15, 0.3, 1.75, 0.55, 10, 4, 0.7),
    (0.25, 0.3, 2.25, 0.6, 12, 6, 0.65),
    (0.3, 0.3, 1.25, 0.65, 14, 12, 0.6),
)
"""Mean and standard deviation of the flakes' field, its zoom, the least brightness of a flake, length and
standard deviation of a flake's streak in pixels at 64, the share that the image keeps of its own."""
FROST = ((1.0, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55))  # weight of the image, of the frost
FROST_PHOTOGRAPHS = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
FROST_SCALE = 0.3  # of the photographs, for 64 pixels
FOG = ((0.4, 3.0), (0.7, 3.0), (1.0, 2.5), (1.5, 2.0), (2.0, 1.75))  # thickness, decay per octave
BRIGHTNESS_GAIN = (0.1, 0.2, 0.3, 0.4, 0.5)
CONTRAST_KEPT = (0.4, 0.3, 0.2, 0.1, 0.05)
ELASTIC = ((0.0, 0.0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03), (0.16, 0.03, 0.02))
"""Displacement, its smoothing, and the shift of the affine map's corners, as shares of the image's side."""
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
    return convolve(images, disc(radius).to(images))


def glass_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Blurred, each pixel replaced by one nearby, one after the other from the last to the first; blurred."""
    sd, reach, rounds = GLASS[severity - 1]
    number, height, width = len(images), *images.shape[2:]
    unit = height / REFERENCE_SIZE
    reach = max(1, round(reach * unit))
    most = max(each[2] for each in GLASS)  # the same draws at every severity
    steps = (draws.uniform(most, 2, height, width) * 2 * reach).floor().clamp(max=2 * reach - 1) - reach
    moves = (steps[:, :, 0] * width + steps[:, :, 1]).flatten(2).long().permute(1, 2, 0).cpu().numpy()
    sources = np.tile(np.arange(height * width)[:, None], (1, number))
    samples = np.arange(number)
    for move in moves[:rounds]:
        for row in range(height - reach, reach, -1):
            for pixel in range((row + 1) * width - reach, row * width + reach, -1):
                sources[pixel] = sources[pixel + move[pixel], samples]
    sources = torch.from_numpy(sources.T.copy()).to(images.device)[:, None].expand(-1, images.shape[1], -1)
    shuffled = blurred(images, sd * unit).flatten(2).gather(2, sources).view_as(images)
    return blurred(shuffled, sd * unit)


def motion_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Smeared along a streak of normal weights that starts at the pixel, at −45 to 45 degrees."""
    unit = images.shape[2] / REFERENCE_SIZE
    length, sd = round(MOTION_LENGTH[severity - 1] * unit), MOTION_SD[severity - 1] * unit
    return streak(images, length, sd, draws.uniform(low=-45.0, high=45.0))


def zoom_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """The mean of the image and of itself zoomed into by 1 to the most, in steps of 0.01."""
    steps = round((ZOOM_MOST[severity - 1] - 1) * 100)
    grid = identity_grid(images)
    result = images.clone()
    for number in range(steps + 1):
        factor = 1 + number / 100
        result += F.grid_sample(images, grid / factor, padding_mode="border", align_corners=False)
    return result / (steps + 2)


def snow(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Paler, behind falling snow: the bright points of a normal field, zoomed and streaked downwards."""
    mean, sd, zoom, least, length, streak_sd, kept = SNOW[severity - 1]
    unit = images.shape[2] / REFERENCE_SIZE
    flakes = mean + sd * draws.normal(1, *images.shape[2:])
    zoom = max(1.0, zoom * unit)
    flakes = F.grid_sample(flakes, identity_grid(flakes) / zoom, padding_mode="border", align_corners=False)
    flakes = torch.where(flakes < least, 0.0, flakes).clamp(max=1)
    flakes = streak(flakes, round(length * unit), streak_sd * unit, draws.uniform(low=-135.0, high=-45.0))
    grey = (images * images.new_tensor(LUMINANCE)[:, None, None]).sum(dim=1, keepdim=True)
    pale = torch.maximum(images, 1.5 * grey + 0.5)
    return kept * images + (1 - kept) * pale + flakes + flakes.flip(2, 3)


def frost(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Behind a window with frost: a part of one of five photographs of frost added.

    Raises UserError if the package with the photographs is not installed.
    """
    kept, added = FROST[severity - 1]
    height, width = images.shape[2:]
    photographs = frost_photographs(height / REFERENCE_SIZE)
    parts = []
    for which, down, across in draws.uniform(3).tolist():
        photograph = photographs[int(which * len(photographs))]
        top = int(down * (photograph.shape[1] - height))
        left = int(across * (photograph.shape[2] - width))
        parts.append(photograph[:, top : top + height, left : left + width])
    return kept * images + added * torch.stack(parts).to(images)


@lru_cache(maxsize=4)
def frost_photographs(unit: float) -> tuple[Tensor, ...]:
    """The photographs of frost of ImageNet-C, (3, H, W) in [0, 1], for images of ``unit`` · 64 pixels.

    Raises UserError if the package ``imagecorruptions``, which holds them, is not installed.
    """
    from PIL import Image

    photographs = []
    for name in FROST_PHOTOGRAPHS:
        picture = Image.open(_frost_folder() / name).convert("RGB")
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255
        size = [math.ceil(side * FROST_SCALE * unit) for side in pixels.shape[1:]]
        photographs.append(F.interpolate(pixels[None], size=size, mode="bilinear")[0])
    return tuple(photographs)


def _frost_folder() -> Path:
    """Where the photographs are. The package is not imported: it asks for much that is not needed here."""
    found = importlib.util.find_spec("imagecorruptions")
    if found is None or not found.submodule_search_locations:
        raise UserError(
            "corruption/frost: needs the photographs of frost in the package imagecorruptions; "
            "pip install --no-deps imagecorruptions==1.1.2, or leave frost out"
        )
    return Path(found.submodule_search_locations[0]) / "frost"


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


def elastic_transform(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Three corners shifted (an affine map), then every pixel by a smooth random field; mirrored outside."""
    strength, smoothing, shift = ELASTIC[severity - 1]
    number, height, width = len(images), *images.shape[2:]
    side = float(height)
    centre, arm = torch.tensor([width // 2, height // 2]), min(height, width) // 3
    corners = centre + arm * torch.tensor([[1, 1], [1, -1], [-1, -1]])
    moved = corners + draws.uniform(3, 2, low=-1.0, high=1.0).cpu() * shift * side
    ones = torch.ones(number, 3, 1)
    back = torch.linalg.solve(torch.cat([moved, ones], dim=2), corners.expand(number, 3, 2).float())
    field = draws.uniform(2, height, width, low=-1.0, high=1.0)
    field = blurred(field, smoothing * side) * strength * side
    down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    points = torch.stack([across, down], dim=2).to(images)
    matrix = back.to(images)[:, None]
    for sources in (points @ matrix[:, :, :2] + matrix[:, :, 2:], points + field.permute(0, 2, 3, 1)):
        grid = (2 * sources + 1) / images.new_tensor([width, height]) - 1
        images = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return images


def pixelate(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Downsampled by averaging and upsampled with hard edges."""
    height, width = images.shape[2:]
    kept = PIXELATE_SIZE[severity - 1]
    down, across = (box_weights(length, int(length * kept)).to(images) for length in (height, width))
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


_EFFECTS = {
    gaussian_noise: "normal noise on every value",
    shot_noise: "noise of few photons",
    impulse_noise: "single values turned to 0 or 1",
    defocus_blur: "blurred by a disc, as by a lens out of focus",
    glass_blur: "pixels shuffled, as behind wavy glass",
    motion_blur: "smeared along a line, as by a moving camera",
    zoom_blur: "smeared outwards, as by a zooming lens",
    snow: "behind falling snow",
    frost: "behind a frosted window",
    fog: "veiled by drifting fog",
    brightness: "brightened",
    contrast: "contrast taken away",
    elastic_transform: "stretched and bent",
    pixelate: "averaged over coarse pixels",
    jpeg_compression: "coded as JPEG of low quality",
}
"""The fifteen corruptions of ImageNet-C, under its names."""
for _effect, _description in _EFFECTS.items():
    register(
        f"corruption/{_effect.__name__}",
        levels=SEVERITIES,
        clean_level=CLEAN,
        unit="severity",
        description=_description,
        requirement=_frost_folder if _effect is frost else None,
    )(_effect)
