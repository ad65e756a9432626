"""The settings of the rendered benchmark, checked before any work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from robustness import shifts
from robustness.errors import UserError, at, nearest
from robustness.settings import Settings
from robustness.shifts import Level
from robustness.shifts.rendered import RANDOM_LEVELS, SPHERE_AZIMUTHS, SPHERE_ELEVATIONS

SPHERE, RANDOM = "pose/sphere", "pose/random"


def default_factors() -> dict[str, list[Level]]:
    """The rendered factors with all their levels but the clean one; sphere and random views are apart."""
    rendered = [shifts.get(name) for name in shifts.names("rendered") if name not in (SPHERE, RANDOM)]
    return {f.id: [level for level in f.levels if level != f.clean_level] for f in rendered}


class Sphere(Settings):
    """The grid of camera positions on the view sphere, in degrees, for one scene of every test object."""

    azimuths: list[Annotated[float, Field(ge=0, lt=360)]] = Field(default=list(SPHERE_AZIMUTHS))
    elevations: list[Annotated[float, Field(ge=-89, le=89)]] = Field(default=list(SPHERE_ELEVATIONS))


class RenderSettings(Settings):
    """How many images of which conditions are rendered.

    ``train_per_class`` images for each class and each of the ``training`` roles, divided evenly among the
    class's objects; ``validation_per_class`` likewise, canonical; ``test_scenes`` clean scenes for every test
    object, each of them at every level of ``factors``; ``sphere`` is null for none; ``random_views``
    of camera and light for one scene of every test object; ``distractor_pool``: distractors to choose from
    for each object; ``objects_per_class`` takes only the first objects of a class
    in each split (null: all).
    """

    image_size: int = Field(default=64, ge=16, le=512)
    seed: int = 0
    training: list[Literal["canonical", "diverse"]] = Field(default=["canonical", "diverse"])
    train_per_class: int = Field(default=400, ge=1)
    validation_per_class: int = Field(default=60, ge=1)
    test_scenes: int = Field(default=3, ge=1)
    objects_per_class: int | None = Field(default=None, ge=1)
    distractor_pool: int = Field(default=12, ge=1, le=100)
    factors: dict[str, list[Level]] = Field(default_factory=default_factors)
    sphere: Sphere | None = Sphere()
    random_views: int = Field(default=len(RANDOM_LEVELS), ge=0, le=len(RANDOM_LEVELS))

    def check(self) -> None:
        if len(set(self.training)) != len(self.training):
            raise UserError("a role stands twice; leave one out", "training")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any] | None, *, image_size: int, seed: int) -> RenderSettings:
        """The settings from a mapping such as params.yaml's ``data.render``.

        Factors may be given as a list of ids (all their levels) or with lists of levels; clean levels may
        be among them (the clean images have that level). Raises UserError, in one line, for a mistake.
        """
        values = dict(mapping or {})
        with at("data.render"):
            if "factors" in values:
                with at("factors"):
                    values["factors"] = _factors(values["factors"])
            return cls.read({**values, "image_size": image_size, "seed": seed})


def _factors(given: object) -> dict[str, list[Level]]:
    """Factor ids with their levels, checked, the clean ones left out."""
    if isinstance(given, (list, tuple)):
        given = {str(name): None for name in given}
    if not isinstance(given, Mapping):
        raise UserError(f"{given!r} is neither a list of factors nor factors with levels")
    checked: dict[str, list[Level]] = {}
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
        checked[name] = [level for level in levels if level != factor.clean_level]
    return checked
