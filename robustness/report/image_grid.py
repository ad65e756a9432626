"""Grids of small images, pixel by pixel: contact sheets, strips of one factor, adversarial examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

GAP = 2
"""White pixels between tiles."""


def image_grid(rows: Sequence[Sequence[np.ndarray | None]]) -> np.ndarray:
    """Rows of images uint8 (H, W, 3) of one size as one image uint8; None leaves a white tile."""
    height, width, _ = next(tile for row in rows for tile in row if tile is not None).shape
    columns = max(map(len, rows))
    sheet = np.full((len(rows) * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, dtype=np.uint8)
    for row, tiles in enumerate(rows):
        for column, tile in enumerate(tiles):
            if tile is not None:
                top, left = row * (height + GAP), column * (width + GAP)
                sheet[top : top + height, left : left + width] = tile
    return sheet


def to_bytes(images: np.ndarray) -> np.ndarray:
    """Images float (N, 3, H, W) in [0, 1] as uint8 (N, H, W, 3)."""
    return (np.asarray(images).transpose(0, 2, 3, 1).clip(0, 1) * 255).round().astype(np.uint8)


def save_png(picture: np.ndarray, path: Path) -> Path:
    """Write an image uint8 (H, W, 3) as PNG; equal images give equal bytes."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path
