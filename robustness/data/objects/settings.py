"""The settings of the rendered benchmark, checked before any work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from robustness import shifts
from robustness.errors import UserError, at, nearest
from robustness.shifts import Level
from robustness.shifts.factors import RENDERED, SPHERE_AZIMUTHS, SPHERE_ELEVATIONS

SPHERE = "viewpoint/sphere"


def default_factors() -> dict[str, tuple[Level, ...]]:
    """The rendered factors with all their levels but the clean one; the view sphere is set apart."""
    return {
        factor.id: tuple(level for level in factor.levels if level != factor.clean_level)
        for factor in RENDERED
        if factor.id != SPHERE
    }


class Sphere(BaseModel):
    """The grid of places on the view sphere, in degrees, for one scene of every test object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    azimuths: tuple[float, ...] = SPHERE_AZIMUTHS
    elevations: tuple[float, ...] = SPHERE_ELEVATIONS

    @field_validator("azimuths")
    @classmethod
    def _turn(cls, azimuths: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 <= azimuth < 360 for azimuth in azimuths):
            raise ValueError("azimuths lie from 0 to below 360")
        return azimuths

    @field_validator("elevations")
    @classmethod
    def _rise(cls, elevations: tuple[float, ...]) -> tuple[float, ...]:
        if not all(-89 <= elevation <= 89 for elevation in elevations):
            raise ValueError("elevations lie from -89 to 89")
        return elevations


class RenderSettings(BaseModel):
    """How many images of which conditions are rendered.

    ``train_per_class`` images for each class and each of the ``training`` roles (canonical, diverse),
    shared out evenly among the class's objects; ``validation_per_class`` likewise, canonical;
    ``test_scenes`` clean scenes for every test object, each of them at every level of ``factors``;
    ``sphere`` is null for none; ``distractor_pool``: distractors to choose from for each object;
    ``objects_per_class`` takes only the first objects of a class in each split (null: all).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_size: int = Field(64, ge=16, le=512)
    seed: int = 0
    training: tuple[str, ...] = ("canonical", "diverse")
    train_per_class: int = Field(400, ge=1)
    validation_per_class: int = Field(60, ge=1)
    test_scenes: int = Field(3, ge=1)
    objects_per_class: int | None = Field(None, ge=1)
    distractor_pool: int = Field(12, ge=1, le=100)
    factors: dict[str, tuple[Level, ...]] = Field(default_factory=default_factors)
    sphere: Sphere | None = Sphere()

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any] | None, *, image_size: int, seed: int) -> RenderSettings:
        """The settings from a mapping such as params.yaml's ``data.render``.

        Factors may be given as a list of ids (all their levels) or with lists of levels; clean levels may
        be among them (the clean images have that level). Raises UserError, in one line, for the first thing
        that is wrong.
        """
        values = dict(mapping or {})
        if "factors" in values:
            with at("data.render.factors"):
                values["factors"] = _factors(values["factors"])
        try:
            settings = cls.model_validate({**values, "image_size": image_size, "seed": seed})
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            if first["type"] == "extra_forbidden":
                raise UserError(
                    f"data.render: unknown key {key!r}; {nearest(key, cls.model_fields)}"
                ) from error
            raise UserError(f"data.render.{key}: {first['input']!r} is wrong: {first['msg']}") from error
        strange = [role for role in settings.training if role not in ("canonical", "diverse")]
        if strange or len(set(settings.training)) != len(settings.training):
            given = list(settings.training)
            raise UserError(
                f"data.render.training: {given} is wrong; allowed are canonical and diverse, once"
            )
        return settings


def _factors(given: object) -> dict[str, tuple[Level, ...]]:
    """Factor ids with their levels, checked, the clean ones left out."""
    if isinstance(given, (list, tuple)):
        given = {str(name): None for name in given}
    if not isinstance(given, Mapping):
        raise UserError(f"{given!r} is neither a list of factors nor factors with levels")
    checked: dict[str, tuple[Level, ...]] = {}
    renderable = default_factors()
    for name, levels in given.items():
        if name not in renderable:
            help_text = nearest(str(name), renderable)
            raise UserError(f"no rendered factor {name!r}; {help_text}")
        factor = shifts.get(name)
        levels = factor.levels if levels is None else levels
        if not isinstance(levels, (list, tuple)):
            raise UserError(f"{levels!r} is no list of levels", name)
        for level in levels:
            shifts.check(factor.shift, factor.name, level)
        if len(set(levels)) != len(levels):
            raise UserError(f"a level stands twice in {list(levels)}", name)
        checked[name] = tuple(level for level in levels if level != factor.clean_level)
    return checked
