"""The rendered factors: each changes one aspect of a 3-D scene before it is rendered; exact and paired.

A factor's function takes the view of a scene (``robustness.data.objects.views.View``) and a level, and gives
the fields of the view that change, with their new values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from robustness.seeds import numpy_generator
from robustness.shifts.registry import register

BACKGROUNDS = ("plain", "gradient", "noise", "room")
SURFACES = ("own", "other", "grey", "black")
SPHERE_AZIMUTHS = tuple(i * 22.5 for i in range(16))
SPHERE_ELEVATIONS = (-30, 0, 30, 60)
RANDOM_LEVELS = tuple(f"draw{i:02d}" for i in range(16))


def sphere_level(azimuth: float, elevation: float) -> str:
    """The level of a place on the view sphere, in degrees from the object's front and horizon.

    >>> sphere_level(22.5, -30)
    'az22.5_el-30'
    """
    return f"az{azimuth:g}_el{elevation:g}"


@register(
    "pose/azimuth",
    levels=(0, 15, 30, 45, 60, 90, 135, 180),
    clean_level=0,
    unit="degrees",
    applies="rendered",
    limits=(0, 180),
)
def azimuth(view: Any, level: float) -> dict[str, Any]:
    """The camera turns around the object, away from the clean view, to a side drawn for each scene."""
    return {"azimuth": view.azimuth + view.side * level}


@register(
    "pose/elevation",
    levels=(-30, -15, 0, 15, 30, 45, 60),
    clean_level=0,
    unit="degrees",
    applies="rendered",
    limits=(-60, 65),
)
def elevation(view: Any, level: float) -> dict[str, Any]:
    """The camera rises over, or sinks below, the clean view."""
    return {"elevation": view.elevation + level}


@register(
    "plane/roll",
    levels=(0, 15, 30, 60, 90, 180),
    clean_level=0,
    unit="degrees",
    applies="rendered",
    limits=(0, 180),
)
def roll(view: Any, level: float) -> dict[str, Any]:
    """The camera turns about its line of sight, to a side drawn for each scene."""
    return {"roll": view.roll + view.roll_side * level}


@register(
    "plane/distance",
    levels=(0, 0.5, 1, 1.5, 2),
    clean_level=0,
    unit="octaves",
    applies="rendered",
    limits=(-0.5, 3),
)
def distance(view: Any, level: float) -> dict[str, Any]:
    """The camera's distance is multiplied by 2 to the power of the level: the object gets smaller."""
    return {"octaves": view.octaves + level}


@register(
    "plane/position",
    levels=(0, 0.1, 0.2, 0.3),
    clean_level=0,
    unit="image widths",
    applies="rendered",
    limits=(0, 0.5),
)
def position(view: Any, level: float) -> dict[str, Any]:
    """The object's picture is shifted off the centre, in a direction drawn for each scene."""
    return {"offset": level}


@register(
    "pose/sphere",
    levels=tuple(
        sphere_level(azimuth, elevation) for elevation in SPHERE_ELEVATIONS for azimuth in SPHERE_AZIMUTHS
    ),
    clean_level="clean",
    unit="azimuth and elevation in degrees",
    applies="rendered",
)
def sphere(view: Any, level: str) -> dict[str, Any]:
    """The camera stands on a grid over the sphere around the object, whatever the clean view is."""
    azimuth, elevation = level.removeprefix("az").split("_el")
    return {"azimuth": float(azimuth), "elevation": float(elevation)}


@register(
    "pose/random",
    levels=RANDOM_LEVELS,
    clean_level="clean",
    unit="draw",
    applies="rendered",
)
def random_view(view: Any, level: str) -> dict[str, Any]:
    """Camera and key light stand anywhere above −30 degrees, drawn for each scene: random search for the
    worst of as many renders."""
    draw = numpy_generator(RANDOM_LEVELS.index(level), "random view", view.key)
    return {
        "azimuth": draw.uniform(-180, 180),
        "elevation": float(np.degrees(np.arcsin(draw.uniform(-0.5, 1)))),
        "light_azimuth": draw.uniform(-180, 180),
        "light_elevation": draw.uniform(25, 75),
    }


@register(
    "combined/pose_and_clutter",
    levels=(0, 1, 2),
    clean_level=0,
    unit="steps",
    applies="rendered",
)
def pose_and_clutter(view: Any, level: float) -> dict[str, Any]:
    """45 degrees of azimuth and two distractors at each step: is the loss the sum of the two?"""
    return {"azimuth": view.azimuth + 45 * view.side * level, "distractors": int(2 * level)}


@register(
    "combined/everything",
    levels=(0, 1, 2),
    clean_level=0,
    unit="steps",
    applies="rendered",
)
def everything(view: Any, level: float) -> dict[str, Any]:
    """A little of each factor at once, twice as much at the second step."""
    return {
        "azimuth": view.azimuth + 30 * view.side * level,
        "elevation": view.elevation + 15 * level,
        "roll": view.roll + 15 * view.roll_side * level,
        "octaves": view.octaves + 0.25 * level,
        "offset": 0.05 * level,
        "light_azimuth": view.light_azimuth + 45 * view.light_side * level,
        "background": "gradient" if level < 2 else "room",
        "distractors": int(level),
    }


@register(
    "clutter/distractors",
    levels=(0, 1, 2, 4, 8),
    clean_level=0,
    unit="objects",
    applies="rendered",
    limits=(0, 12),
)
def distractors(view: Any, level: float) -> dict[str, Any]:
    """Objects of none of the classes stand around the object; the first ones are the same at each level."""
    return {"distractors": int(level)}


@register(
    "clutter/background",
    levels=BACKGROUNDS,
    clean_level="plain",
    unit="kind",
    applies="rendered",
)
def background(view: Any, level: str) -> dict[str, Any]:
    """What is behind the object: one colour, a gradient, 1/f noise, a room with textured walls and floor."""
    return {"background": level}


@register(
    "clutter/occlusion",
    levels=(0, 0.2, 0.4, 0.6, 0.8),
    clean_level=0,
    unit="hidden fraction",
    applies="rendered",
    limits=(0, 0.9),
)
def occlusion(view: Any, level: float) -> dict[str, Any]:
    """Another object stands in front so that this fraction of the object's visible surface is hidden."""
    return {"hidden": float(level)}


@register(
    "cue/surface",
    levels=SURFACES,
    clean_level="own",
    unit="kind",
    applies="rendered",
)
def surface(view: Any, level: str) -> dict[str, Any]:
    """The object's shape wears the materials of an object of another class, an even grey, or black."""
    return {"surface": level}


@register(
    "light/azimuth",
    levels=(0, 45, 90, 135, 180),
    clean_level=0,
    unit="degrees",
    applies="rendered",
    limits=(0, 180),
)
def light_azimuth(view: Any, level: float) -> dict[str, Any]:
    """The key light turns around the object, away from its clean place, to a side drawn for each scene."""
    return {"light_azimuth": view.light_azimuth + view.light_side * level}
