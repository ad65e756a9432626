"""What a scene is made of: placed meshes, a camera, a light, and a backdrop.

In the scene y is up; the target stands at the origin and looks along +z.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from robustness.data.image_set import TARGET
from robustness.data.objects.coat import Coat
from robustness.data.objects.mesh import Mesh

FIELD_OF_VIEW = 30.0
"""Degrees across the image."""


@dataclass(frozen=True)
class Placed:
    """A mesh in the scene: position, rotation about y in degrees, scale, its value in masks, and the coat
    that it wears over its own materials."""

    mesh: Mesh
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn: float = 0.0
    scale: float = 1.0
    kind: int = TARGET
    coat: Coat | None = None

    @cached_property
    def rotation(self) -> np.ndarray:
        """The matrix from the mesh's axes to the scene's, without the scale."""
        angle = np.radians(self.turn)
        cos, sin = np.cos(angle), np.sin(angle)
        return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], dtype=np.float32)

    @property
    def centre(self) -> np.ndarray:
        """The centre of the bounding sphere, whose radius is ``scale``."""
        return np.array(self.position, dtype=np.float32) + np.array(
            [0, self.mesh.half[1] * self.scale, 0], dtype=np.float32
        )


@dataclass(frozen=True)
class Camera:
    """Looks at ``target`` from a direction (degrees; azimuth 0 is in front, on +z) at a distance.

    ``roll`` rotates the picture anticlockwise, in degrees; ``shift`` moves it right and down, in image
    widths.
    """

    azimuth: float
    elevation: float
    distance: float
    target: tuple[float, float, float] = (0.0, 0.0, 0.0)
    roll: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def origin(self) -> np.ndarray:
        """The position of the camera, float32 (3,)."""
        return (np.array(self.target) + self.distance * direction(self.azimuth, self.elevation)).astype(
            np.float32
        )

    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit vectors to the right, up and forward in the picture, float32."""
        azimuth = np.radians(self.azimuth)
        forward = -direction(self.azimuth, self.elevation)
        right = np.array([np.cos(azimuth), 0, -np.sin(azimuth)])
        up = np.cross(right, forward)
        cos, sin = np.cos(np.radians(self.roll)), np.sin(np.radians(self.roll))
        right, up = cos * right - sin * up, sin * right + cos * up
        return tuple(axis.astype(np.float32) for axis in (right, up, forward))


@dataclass(frozen=True)
class Light:
    """The key light's direction in the scene (degrees) and its strength beside the sky (1: as usual)."""

    azimuth: float
    elevation: float
    strength: float = 1.0


class Backdrop(Protocol):
    """What is seen where no object is."""

    def colours(self, screen: np.ndarray, origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Linear RGB, float32 (N, 3), for places in the picture (N, 2: right, down; 0 to 1) and their rays.

        ``origin`` (3,) is the camera's place, ``directions`` (N, 3) are unit vectors.
        """


def direction(azimuth: float, elevation: float) -> np.ndarray:
    """The unit vector towards an azimuth (from +z towards +x) and an elevation, in degrees."""
    azimuth, elevation = np.radians(azimuth), np.radians(elevation)
    return np.array(
        [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
    )
