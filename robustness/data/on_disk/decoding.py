"""One image file to RGB bytes of one size, and what kind of file it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

CROP = 0.875
_KINDS = {"RGB": "rgb", "1": "grey", "L": "grey", "P": "palette"}


class UnreadableError(Exception):
    """An image that cannot be used; the message is ``truncated`` or ``unreadable``."""


def read(path: Path | str, *, size: int, fit: str, border: int) -> tuple[np.ndarray, str]:
    """Pixels uint8 (size, size, 3), and what the file was: ``rgb``, ``grey``, ``cmyk``, ``16-bit``,
    ``palette`` or ``alpha``.

    16-bit values lose their lower byte, transparency is laid on white. The orientation that a camera noted is
    not applied: the sets' labels and published numbers were made without it. Raises UnreadableError.
    """
    try:
        with Image.open(path) as image:
            image.load()
            image, kind = _rgb(image)
    except UnidentifiedImageError as error:
        raise UnreadableError("unreadable") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        cut = any(word in str(error) for word in ("truncated", "Truncated", "unexpected end"))
        raise UnreadableError("truncated" if cut else "unreadable") from error
    if border:
        image = image.crop((border, border, image.width - border, image.height - border))
    return np.asarray(fitted(image, size, fit)), kind


def _rgb(image: Image.Image) -> tuple[Image.Image, str]:
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.float64)
        return Image.fromarray((np.clip(values, 0, 65535) // 256).astype(np.uint8)).convert("RGB"), "16-bit"
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layers = image.convert("RGBA")
        ground = Image.new("RGBA", layers.size, "white")
        return Image.alpha_composite(ground, layers).convert("RGB"), "alpha"
    return image.convert("RGB"), _KINDS.get(image.mode, image.mode.lower())


def fitted(image: Image.Image, size: int, fit: str) -> Image.Image:
    """An RGB image as a square of ``size`` pixels; see ``Listing.fit``."""
    bilinear = Image.Resampling.BILINEAR
    if fit == "squash":
        return image if image.size == (size, size) else image.resize((size, size), bilinear)
    if fit == "crop":
        scale = round(size / CROP) / min(image.size)
        image = image.resize([max(size, round(side * scale)) for side in image.size], bilinear)
        side = size
    else:
        side = min(size, *image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    return image if side == size else image.resize((size, size), bilinear)
