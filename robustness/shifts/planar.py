"""Shifts in the image plane, for any image: rotation, perspective, scale, shift.

Pixels from outside the image have the median colour of its border; on a uniform background (the digits, plain
renderings) that continues the background exactly, otherwise it is a uniform margin.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from robustness.shifts.image_factors import Draws, border_colour
from robustness.shifts.registry import register

CAMERA_DISTANCE = 3.0
"""Distance of the camera that looks at the tilted image, in half image widths: it sees 37 degrees."""


@register(
    "plane/rotation",
    levels=(0, 15, 30, 60, 90, 180),
    clean_level=0,
    unit="degrees",
    description="the image is turned about its centre, to a side drawn for each image",
    limits=(0, 180),
)
def rotation(images: Tensor, level: float, draws: Draws) -> Tensor:
    """Rotated about the centre by ``level`` degrees in a random direction; bilinear."""
    angle = torch.deg2rad(torch.as_tensor(float(level))) * draws.sides()
    cos, sin = torch.cos(angle), torch.sin(angle)
    zero = torch.zeros_like(cos)
    matrix = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).view(-1, 2, 3)
    height, width = images.shape[2:]
    if height != width:  # the grid is in half heights and half widths, a rotation in pixels
        matrix[:, 0, 1] *= height / width
        matrix[:, 1, 0] *= width / height
    grid = F.affine_grid(matrix.to(images.dtype), list(images.shape), align_corners=False)
    return _sample(images, grid)


@register(
    "plane/perspective",
    levels=(0, 15, 30, 45, 60),
    clean_level=0,
    unit="degrees",
    description="the image is seen at a slant, tilted about an axis drawn for each image",
    limits=(0, 75),
)
def perspective(images: Tensor, level: float, draws: Draws) -> Tensor:
    """Seen from the side: the image tilts by ``level`` degrees about a random axis in its plane.

    A pinhole camera looks at the centre; 2×2 samples per pixel are averaged, since the far side
    shrinks.
    """
    tilt = torch.deg2rad(torch.as_tensor(float(level), dtype=torch.float64))
    axis = draws.uniform(low=0.0, high=2 * torch.pi).double()
    u, v = torch.cos(axis), torch.sin(axis)
    cos, sin = torch.cos(tilt), torch.sin(tilt)
    # Rodrigues' rotation about (u, v, 0), its first two columns: the plane has no third coordinate.
    rows = [
        [cos + u * u * (1 - cos), u * v * (1 - cos), torch.zeros_like(u)],
        [u * v * (1 - cos), cos + v * v * (1 - cos), torch.zeros_like(u)],
        [-v * sin / CAMERA_DISTANCE, u * sin / CAMERA_DISTANCE, torch.ones_like(u)],
    ]
    forward = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)  # (N, 3, 3): plane → picture
    height, width = images.shape[2:]
    points = _pixel_centres(2 * height, 2 * width, images.device)  # (2H · 2W, 2)
    homogeneous = torch.cat([points, torch.ones_like(points[:, :1])], dim=1).double()
    plane = homogeneous @ torch.linalg.inv(forward).transpose(1, 2)  # (N, 2H · 2W, 3)
    # Points behind the camera's horizon have a depth that is not positive: send them off the image.
    depth = plane[..., 2:]
    grid = torch.where(depth > 1e-6, plane[..., :2] / depth.clamp_min(1e-6), torch.full_like(depth, 9.0))
    grid = grid.view(len(images), 2 * height, 2 * width, 2).to(images.dtype)
    return F.avg_pool2d(_sample(images, grid), 2)


@register(
    "plane/scale",
    levels=(0, 0.5, 1, 1.5, 2),
    clean_level=0,
    unit="octaves",
    description="the image is made smaller by 2 to the power of the level",
    limits=(0, 3),
)
def scale(images: Tensor, level: float, draws: Draws) -> Tensor:
    """Made smaller by 2 to the power of ``level`` (to whole pixels, antialiased), on the background."""
    height, width = images.shape[2:]
    size = [max(1, round(length * 2.0**-level)) for length in (height, width)]
    small = F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
    result = border_colour(images).expand_as(images).clone()
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    result[:, :, top : top + size[0], left : left + size[1]] = small
    return result


@register(
    "plane/shift",
    levels=(0, 0.1, 0.2, 0.3, 0.4),
    clean_level=0,
    unit="image widths",
    description="the image is moved off the centre, in a direction drawn for each image",
    limits=(0, 0.5),
)
def shift(images: Tensor, level: float, draws: Draws) -> Tensor:
    """Translated by ``level`` image widths in a random direction, to whole pixels (no interpolation)."""
    height, width = images.shape[2:]
    direction = draws.uniform(low=0.0, high=2 * torch.pi)
    across = torch.round(level * width * torch.cos(direction)).long()
    down = torch.round(level * width * torch.sin(direction)).long()
    rows = torch.arange(height, device=images.device)[None, :] - down[:, None]
    columns = torch.arange(width, device=images.device)[None, :] - across[:, None]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    number = torch.arange(len(images), device=images.device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[
        number, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]
    ].permute(0, 3, 1, 2)
    return torch.where(inside[:, None], moved, border_colour(images))


def _pixel_centres(height: int, width: int, device: torch.device) -> Tensor:
    """The centres (H · W, 2) as (x, y) with the image from −1 to 1."""
    y = (torch.arange(height, device=device) * 2 + 1) / height - 1
    x = (torch.arange(width, device=device) * 2 + 1) / width - 1
    return torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1).reshape(-1, 2)


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    """Bilinear samples at ``grid``, the border's colour outside."""
    ground = border_colour(images)
    return F.grid_sample(images - ground, grid, padding_mode="zeros", align_corners=False) + ground
