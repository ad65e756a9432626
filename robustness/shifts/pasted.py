"""Approximations of clutter for any image: pasted patches, a sliding occluder, texture behind the target."""

from __future__ import annotations

import torch
from torch import Tensor

from robustness.shifts.image_factors import Draws, pink_texture
from robustness.shifts.registry import register

MOST_PATCHES = 12


@register(
    "clutter/patches",
    levels=(0, 1, 2, 4, 8),
    clean_level=0,
    unit="patches",
    description="textured patches lie around the middle; the first ones are the same at each level",
    limits=(0, MOST_PATCHES),
    whole=True,
)
def patches(images: Tensor, level: float, draws: Draws) -> Tensor:
    """``level`` textured rectangles and ellipses lie around the middle of the image.

    Each has a centre at 0.3 to 0.55 image widths from the middle, half axes of 0.06 to 0.16 widths and a
    rotation of its own; all patches of an image share one 1/f field, each in its own colour. The patches of
    a lower level are the first ones of every higher level. They may cover the rim of the target.
    """
    height, width = images.shape[2:]
    where = draws.uniform(MOST_PATCHES, 5)
    colours = draws.uniform(MOST_PATCHES, 3)
    texture = pink_texture(draws, height, width)
    texture = texture - texture.mean(dim=(2, 3), keepdim=True)
    y = (torch.arange(height, device=images.device) + 0.5)[:, None] / height - 0.5
    x = (torch.arange(width, device=images.device) + 0.5)[None, :] / width - 0.5
    result = images
    for number in range(int(level)):
        place, distance, long, short, turn = where[:, number].unbind(dim=1)
        angle, radius = 2 * torch.pi * place, 0.3 + 0.25 * distance
        dx = x - (radius * torch.cos(angle))[:, None, None]
        dy = y - (radius * torch.sin(angle))[:, None, None]
        cos, sin = (f(torch.pi * turn)[:, None, None] for f in (torch.cos, torch.sin))
        along = (dx * cos + dy * sin) / (0.06 + 0.10 * long)[:, None, None]
        aside = (dy * cos - dx * sin) / (0.06 + 0.10 * short)[:, None, None]
        reach = along**2 + aside**2 if number % 2 else torch.maximum(along.abs(), aside.abs())
        inside = reach <= 1
        filling = (colours[:, number, :, None, None] + texture).clamp(0, 1)
        result = torch.where(inside[:, None], filling, result)
    return result


@register(
    "clutter/cover_target",
    levels=(0, 0.2, 0.4, 0.6, 0.8),
    clean_level=0,
    unit="hidden fraction of the target",
    applies="masked",
    description="a textured sheet slides in, from a side drawn for each image, until it hides this fraction",
    limits=(0, 0.95),
)
@register(
    "clutter/cover",
    levels=(0, 0.2, 0.4, 0.6, 0.8),
    clean_level=0,
    unit="hidden fraction of the image",
    description="a textured sheet slides in, from a side drawn for each image, until it hides this fraction",
    limits=(0, 0.95),
)
def cover(images: Tensor, level: float, draws: Draws, masks: Tensor | None = None) -> Tensor:
    """A textured sheet slides in from a random side until it hides the fraction ``level``.

    Of the target's pixels where there are ``masks`` (N, H, W) bool, else of the image; exact up to the pixels
    that lie on the edge of the sheet together.
    """
    height, width = images.shape[2:]
    direction = draws.uniform(low=0.0, high=2 * torch.pi)
    texture = pink_texture(draws, height, width)
    y = torch.arange(height, device=images.device)[:, None] - (height - 1) / 2
    x = torch.arange(width, device=images.device)[None, :] - (width - 1) / 2
    depth = x * torch.cos(direction)[:, None, None] + y * torch.sin(direction)[:, None, None]
    whole = torch.ones_like(depth, dtype=torch.bool) if masks is None else masks
    ordered = torch.where(whole, depth, torch.inf).flatten(1).sort(dim=1).values
    count = whole.flatten(1).sum(dim=1)
    hidden = torch.round(count * level).long()
    edge = ordered.gather(1, (hidden - 1).clamp_min(0)[:, None]).squeeze(1)
    edge = torch.where(hidden > 0, edge, -torch.inf)
    return torch.where((depth <= edge[:, None, None])[:, None], texture, images)


@register(
    "clutter/texture",
    levels=(0, 0.25, 0.5, 0.75, 1),
    clean_level=0,
    unit="share of the texture",
    applies="masked",
    description="what is behind the target fades into a coloured 1/f texture",
    limits=(0, 1),
)
def texture(images: Tensor, level: float, draws: Draws, masks: Tensor) -> Tensor:
    """Everything but the target fades, by ``level`` (0 to 1), into a coloured 1/f texture."""
    ground = images + level * (pink_texture(draws, *images.shape[2:]) - images)
    return torch.where(masks[:, None], images, ground)
