"""Which scene an image shows: the view, drawn from seeds, and what each level of a rendered factor changes.

A view is drawn once for (object, role, index); a factor's level then replaces one thing in it and nothing
else, so that images of different levels are paired: the same object, light, backdrop and seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from robustness import shifts
from robustness.errors import UserError
from robustness.seeds import numpy_generator
from robustness.shifts import Level
from robustness.shifts.rendered import BACKGROUNDS

FITTING_DISTANCE = 1 / np.sin(np.radians(15))
"""At this distance the unit sphere around the object just fits a field of view of 30 degrees."""

SHARES: dict[str, float] = {
    "view": 0.75,
    "light": 0.5,
    "roll": 0.15,
    "distance": 0.25,
    "position": 0.25,
    "background": 0.4,
    "distractors": 0.25,
    "occlusion": 0.1,
}
"""In what share of the diverse training images each factor is varied."""


@dataclass(frozen=True)
class View:
    """Everything that is drawn for an image. Angles are in degrees.

    ``key`` names the draw (backdrop, distractors and occluder are drawn from it); ``octaves`` and
    ``offset`` are how far the camera is moved back and the picture aside; ``side``, ``roll_side``,
    ``light_side`` (-1 or 1) and ``offset_angle`` say to which side factors move; ``hidden`` is the
    fraction that the occluder is to hide, exactly; ``front``, where it is not None, places an occluder
    whatever it hides: its scale, its horizontal position (-1 to 1). ``surface``: what the object wears (own,
    other, grey, black); ``donors``: models of another class, the first readable of which lends its materials.
    """

    key: str
    azimuth: float
    elevation: float
    distance: float
    light_azimuth: float
    light_elevation: float
    light_strength: float
    side: int
    roll_side: int
    light_side: int
    offset_angle: float
    background: str = "plain"
    roll: float = 0.0
    octaves: float = 0.0
    offset: float = 0.0
    distractors: int = 0
    hidden: float = 0.0
    front: tuple[float, float] | None = None
    surface: str = "own"
    donors: tuple[str, ...] = ()

    @property
    def camera_distance(self) -> float:
        """The camera's distance from the object's centre; half the diagonal of the object's box is 1."""
        return self.distance * 2**self.octaves

    @property
    def shift(self) -> tuple[float, float]:
        """How far the picture is moved right and down, in image widths."""
        angle = np.radians(self.offset_angle)
        return float(self.offset * np.cos(angle)), float(self.offset * np.sin(angle))


def canonical(seed: int, key: str) -> View:
    """A frontal view: azimuth within 25 degrees, a little from above, plain backdrop, light from in front."""
    draw = numpy_generator(seed, "view", key)
    return View(
        key=key,
        azimuth=draw.uniform(-25, 25),
        elevation=draw.uniform(5, 20),
        distance=FITTING_DISTANCE * draw.uniform(0.97, 1.25),
        light_azimuth=draw.uniform(-60, 60),
        light_elevation=draw.uniform(35, 65),
        light_strength=draw.uniform(0.85, 1.1),
        side=_sign(draw),
        roll_side=_sign(draw),
        light_side=_sign(draw),
        offset_angle=draw.uniform(0, 360),
    )


def diverse(seed: int, key: str) -> View:
    """A varied view: each rendered factor is varied in its share of the images, the view in most of them.

    Factors are drawn independently, over the ranges that the test conditions span, so that images with one
    or two changes are as common as in the test, and few change everything at once.
    """
    base = canonical(seed, key)
    draw = numpy_generator(seed, "diverse view", key)
    # Every draw is made, used or not: a share may change without changing what the others give.
    varied = {factor: draw.random() < share for factor, share in SHARES.items()}
    changes = {
        "view": {"azimuth": draw.uniform(-180, 180), "elevation": draw.uniform(-30, 78)},
        "light": {
            "light_azimuth": draw.uniform(-180, 180),
            "light_elevation": draw.uniform(25, 75),
            "light_strength": draw.uniform(0.7, 1.15),
        },
        "roll": {"roll": draw.uniform(-180, 180)},
        "distance": {"octaves": draw.uniform(0, 1.5)},
        "position": {"offset": draw.uniform(0, 0.25)},
        "background": {"background": str(draw.choice(BACKGROUNDS[1:]))},
        "distractors": {"distractors": int(draw.choice([1, 2, 4]))},
        "occlusion": {"front": (float(draw.uniform(0.5, 1.2)), float(draw.uniform(-1, 1)))},
    }
    for factor, change in changes.items():
        if varied[factor]:
            base = replace(base, **change)
    return base


def at_level(view: View, factor: str, level: Level) -> View:
    """The view with one factor (``shift/name``) at a level; at the factor's clean level, the view itself.

    Raises UserError for an unknown factor or level.
    """
    shift, _, name = factor.partition("/")
    found = shifts.check(shift, name, level)
    if level == found.clean_level:
        return view
    if found.applies != "rendered":
        raise UserError(f"render: {found.id} is no factor of a rendered scene")
    return replace(view, **found.effect(view, level))


def on_sphere(view: View, azimuth: float, elevation: float) -> View:
    """The view from a place on the sphere around the object, in degrees from its front and its horizon."""
    return replace(view, azimuth=azimuth, elevation=elevation)


def _sign(draw: np.random.Generator) -> int:
    return 1 if draw.random() < 0.5 else -1
