"""Grids of small images, pixel by pixel: contact sheets, strips of one factor, adversarial examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

GAP = 2
"""White pixels between tiles."""


def image_grid(rows: Sequence[Sequence[np.ndarray | None]], gap: int = GAP) -> np.ndarray:
    """Rows of images (H, W, 3) of one size, uint8 or in [0, 1], as one image of that kind.

    None leaves a white tile, as does the end of a short row.
    """
    first = next(tile for row in rows for tile in row if tile is not None)
    height, width, _ = first.shape
    columns = max(map(len, rows))
    size = (len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3)
    grid = np.full(size, 255 if first.dtype == np.uint8 else 1, dtype=first.dtype)
    for row, tiles in enumerate(rows):
        for column, tile in enumerate(tiles):
            if tile is not None:
                top, left = row * (height + gap), column * (width + gap)
                grid[top : top + height, left : left + width] = tile
    return grid


def to_bytes(images: np.ndarray) -> np.ndarray:
    """Images float (N, 3, H, W) in [0, 1] as uint8 (N, H, W, 3)."""
    return (np.asarray(images).transpose(0, 2, 3, 1).clip(0, 1) * 255).round().astype(np.uint8)


def save_png(picture: np.ndarray, path: Path) -> Path:
    """Write an image uint8 (H, W, 3) as PNG; equal images give equal bytes."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path
