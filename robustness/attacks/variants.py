"""Other images than the clean ones, and perturbations of a part of the image: what is attacked beside the
whole of the clean test images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator
from torch import Tensor, from_numpy

from robustness import shifts
from robustness.data.image_set import TARGET, ImageSet, format_level
from robustness.errors import UserError, at
from robustness.seeds import derive
from robustness.settings import Settings

WHOLE = "worst"
"""The variant that the others are compared with: perturbations of the whole of the clean images."""


class VariantSettings(Settings):
    """Which models are attacked so (null: all), on how many clean images, at which ε (L∞, in 255ths).

    ``regions``: perturbations of the pixels of the object, or of the background, alone, by the exact masks.
    ``patches``: squares of so many pixels a side beside the object, of any colours (ε = 255).
    ``conditions``: images of a condition, as ``pose/azimuth/90``: of the image set, else made from the
    clean ones.
    """

    models: list[str] | None = None
    images: int = Field(default=92, ge=1)
    epsilons: tuple[Annotated[float, Field(gt=0, le=255)], ...] = Field(min_length=1)
    regions: list[Literal["object", "background"]] = Field(default=[])
    patches: list[Annotated[int, Field(ge=1)]] = Field(default=[])
    conditions: list[str] = Field(default=[])

    @field_validator("epsilons", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        return tuple(float(v) if type(v) is int else v for v in value) if isinstance(value, list) else value

    def check(self) -> None:
        for name in self.conditions:
            with at("conditions"):
                shift, factor, level = _parts(name)
                shifts.get(f"{shift}/{factor}").parse(level)


@dataclass(frozen=True)
class Variant:
    """Images (N, C, H, W) in [0, 1] with labels and ids (N,), the ε's (L∞, in 255ths), and the pixels
    (N, 1, H, W) bool that may be changed (None: all). ``name`` is a word of metric names."""

    name: str
    images: Tensor
    labels: Tensor
    rows: np.ndarray
    epsilons: tuple[float, ...]
    allowed: Tensor | None = None


def variants(images: ImageSet, settings: VariantSettings, *, seed: int) -> Iterator[Variant]:
    """The variants of an image set; raises UserError for regions and patches without masks, a patch larger
    than the images, and a condition without images."""
    clean = images.spread_over_objects(images.rows(split="test", shift="clean"), settings.images, seed=seed)
    x, y = images.batch(clean), images.labels(clean)
    if (settings.regions or settings.patches) and images.masks is None:
        raise UserError("this image set has no masks of the object; leave out regions and patches",
                        "attack.variants")  # fmt: skip
    target = None if images.masks is None else images.masks[clean] == TARGET
    for region in settings.regions:
        allowed = from_numpy(target if region == "object" else ~target)[:, None]
        yield Variant(region, x, y, clean, settings.epsilons, allowed)
    for side in settings.patches:
        allowed = from_numpy(np.stack([beside(mask, side) for mask in target]))[:, None]
        yield Variant(f"patch_{side}", x, y, clean, (255.0,), allowed)
    for condition in settings.conditions:
        shift, factor, level = _parts(condition)
        found, name = shifts.get(f"{shift}/{factor}"), "_".join((shift, factor, level))
        rows = images.rows(split="test", shift=shift, factor=factor, level=level)
        if len(rows):
            rows = images.spread_over_objects(rows, settings.images, seed=seed)
            yield Variant(name, images.batch(rows), images.labels(rows), rows, settings.epsilons)
        elif found.applies == "image":
            seeds = [derive(seed, "attacked condition", condition, int(row)) for row in clean]
            turned = found.apply(x, found.parse(level), seeds=seeds)
            yield Variant(name, turned, y, clean, settings.epsilons)
        else:
            raise UserError(f"{condition!r}: the image set has no such images", "attack.variants.conditions")


def beside(target: np.ndarray, side: int) -> np.ndarray:
    """The pixels of a square of ``side`` pixels that hides least of the object ``target`` (H, W) bool, and of
    such squares lies nearest to its centre; (H, W) bool, without the object's own pixels.

    Raises UserError for a square larger than the image.
    """
    if side > min(target.shape):
        raise UserError(f"{side} pixels are more than an image has; use less", "attack.variants.patches")
    hidden = np.lib.stride_tricks.sliding_window_view(target, (side, side)).sum((2, 3))
    rows, columns = np.nonzero(hidden == hidden.min())
    corners = np.stack([rows, columns])
    centre = np.argwhere(target).mean(0) if target.any() else (np.array(target.shape) - 1) / 2
    nearest = np.square(corners + (side - 1) / 2 - centre[:, None]).sum(0).argmin()
    row, column = corners[:, nearest]
    square = np.zeros_like(target)
    square[row : row + side, column : column + side] = True
    return square & ~target


def _parts(condition: str) -> tuple[str, str, str]:
    parts = condition.split("/")
    if len(parts) != 3:
        raise UserError(f"{condition!r} is not shift/factor/level")
    return parts[0], parts[1], format_level(parts[2])
