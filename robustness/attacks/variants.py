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
    ``conditions``: images of a condition, as ``viewpoint/azimuth/90``: of the image set, else made from the
    clean ones.
    """

    models: list[str] | None = None
    images: int = Field(default=92, ge=1)
    epsilons: tuple[Annotated[float, Field(gt=0, le=255)], ...] = Field(min_length=1)
    regions: list[Literal["object", "background"]] = Field(default=[])
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
    """Images (N, C, H, W) in [0, 1] with labels and ids (N,), and the pixels (N, 1, H, W) bool that may be
    changed (None: all). ``name`` is a word of metric names."""

    name: str
    images: Tensor
    labels: Tensor
    rows: np.ndarray
    allowed: Tensor | None = None


def variants(images: ImageSet, settings: VariantSettings, *, seed: int) -> Iterator[Variant]:
    """The variants of an image set; raises UserError for regions without masks and for a condition without
    images."""
    clean = images.spread_over_objects(images.rows(split="test", shift="clean"), settings.images, seed=seed)
    x, y = images.batch(clean), images.labels(clean)
    for region in settings.regions:
        if images.masks is None:
            raise UserError(f"{region}: this image set has no masks of the object", "attack.variants.regions")
        target = from_numpy(np.ascontiguousarray(images.masks[clean]) == TARGET)[:, None]
        yield Variant(region, x, y, clean, target if region == "object" else ~target)
    for condition in settings.conditions:
        shift, factor, level = _parts(condition)
        found, name = shifts.get(f"{shift}/{factor}"), "_".join((shift, factor, level))
        rows = images.rows(split="test", shift=shift, factor=factor, level=level)
        if len(rows):
            rows = images.spread_over_objects(rows, settings.images, seed=seed)
            yield Variant(name, images.batch(rows), images.labels(rows), rows)
        elif found.applies == "image":
            seeds = [derive(seed, "attacked condition", condition, int(row)) for row in clean]
            yield Variant(name, found.apply(x, found.parse(level), seeds=seeds), y, clean)
        else:
            raise UserError(f"{condition!r}: the image set has no such images", "attack.variants.conditions")


def _parts(condition: str) -> tuple[str, str, str]:
    parts = condition.split("/")
    if len(parts) != 3:
        raise UserError(f"{condition!r} is not shift/factor/level")
    return parts[0], parts[1], format_level(parts[2])
