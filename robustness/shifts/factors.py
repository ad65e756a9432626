"""What a factor of a shift is, and the rendered factors: each changes one aspect of a 3-D scene."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from robustness.errors import UserError

Level = float | int | str


@dataclass(frozen=True)
class Factor:
    """One factor of a shift, with the levels that the default run measures.

    ``clean_level`` is the level at which the image is the clean image itself. ``applies`` says where the
    factor acts: ``rendered`` (in the 3-D scene), ``image`` (on any image), ``masked`` (on images with exact
    masks). ``limits``, for numeric factors, are the smallest and the largest level that make sense; without
    limits only the levels listed are allowed. ``whole``: levels are counts.
    """

    shift: str
    name: str
    levels: tuple[Level, ...]
    clean_level: Level
    unit: str
    applies: Literal["rendered", "image", "masked"]
    description: str
    limits: tuple[float, float] | None = None
    whole: bool = False

    @property
    def id(self) -> str:
        """``shift/name``, as it stands in settings and metric names."""
        return f"{self.shift}/{self.name}"

    def parse(self, level: Level, *, text: bool = True) -> Level:
        """The level as a number or word, from its value or, with ``text``, its text. UserError if it is not
        allowed."""
        if self.limits is None:
            for known in self.levels:
                if level == known or (text and str(level) == _text(known)):
                    return known
            allowed = ", ".join(map(_text, self.levels))
            raise UserError(f"shifts: {self.id} has no level {level!r}; allowed are {allowed}")
        low, high = self.limits
        try:
            unusual = isinstance(level, bool) or (isinstance(level, str) and not text)
            value = math.nan if unusual else float(level)
        except (TypeError, ValueError):
            value = math.nan
        if not low <= value <= high or (self.whole and value != int(value)):
            kind = "whole number" if self.whole else "number"
            raise UserError(
                f"shifts: {self.id} level {level!r} is not a {kind} from {low:g} to {high:g} {self.unit}"
            )
        return value


def _text(level: Level) -> str:
    return level if isinstance(level, str) else format(level, "g")


BACKGROUNDS = ("plain", "gradient", "noise", "room")
SPHERE_AZIMUTHS = tuple(i * 22.5 for i in range(16))
SPHERE_ELEVATIONS = (-30, 0, 30, 60)


def sphere_level(azimuth: float, elevation: float) -> str:
    """The level of a place on the view sphere, in degrees from the object's front and horizon.

    >>> sphere_level(22.5, -30)
    'az22.5_el-30'
    """
    return f"az{azimuth:g}_el{elevation:g}"


RENDERED: tuple[Factor, ...] = (
    Factor(
        "viewpoint",
        "azimuth",
        (0, 15, 30, 45, 60, 90, 135, 180),
        0,
        "degrees",
        "rendered",
        "the camera turns around the object, away from the clean view, to a side drawn for each scene",
        (0, 180),
    ),
    Factor(
        "viewpoint",
        "elevation",
        (-30, -15, 0, 15, 30, 45, 60),
        0,
        "degrees",
        "rendered",
        "the camera rises over, or sinks below, the clean view",
        (-60, 65),
    ),
    Factor(
        "viewpoint",
        "roll",
        (0, 15, 30, 60, 90, 180),
        0,
        "degrees",
        "rendered",
        "the camera turns about its line of sight, to a side drawn for each scene",
        (0, 180),
    ),
    Factor(
        "viewpoint",
        "distance",
        (0, 0.5, 1, 1.5, 2),
        0,
        "octaves",
        "rendered",
        "the camera's distance is multiplied by 2 to the power of the level: the object gets smaller",
        (-0.5, 3),
    ),
    Factor(
        "viewpoint",
        "position",
        (0, 0.1, 0.2, 0.3),
        0,
        "image widths",
        "rendered",
        "the object's picture is shifted off the centre, in a direction drawn for each scene",
        (0, 0.5),
    ),
    Factor(
        "viewpoint",
        "sphere",
        tuple(
            sphere_level(azimuth, elevation) for elevation in SPHERE_ELEVATIONS for azimuth in SPHERE_AZIMUTHS
        ),
        "clean",
        "azimuth and elevation in degrees",
        "rendered",
        "the camera stands on a grid over the sphere around the object, whatever the clean view is",
    ),
    Factor(
        "clutter",
        "distractors",
        (0, 1, 2, 4, 8),
        0,
        "objects",
        "rendered",
        "objects of none of the classes stand around the object; the first ones are the same at each level",
        (0, 12),
    ),
    Factor(
        "clutter",
        "background",
        BACKGROUNDS,
        "plain",
        "kind",
        "rendered",
        "what is behind the object: one colour, a gradient, 1/f noise, a room with textured walls and floor",
    ),
    Factor(
        "clutter",
        "occlusion",
        (0, 0.2, 0.4, 0.6, 0.8),
        0,
        "hidden fraction",
        "rendered",
        "another object stands in front so that this fraction of the object's visible surface is hidden",
        (0, 0.9),
    ),
    Factor(
        "light",
        "azimuth",
        (0, 45, 90, 135, 180),
        0,
        "degrees",
        "rendered",
        "the key light turns around the object, away from its clean place, to a side drawn for each scene",
        (0, 180),
    ),
)
"""The factors that are set in the scene before it is rendered; exact and paired."""
