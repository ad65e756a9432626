"""What an object wears instead of its own materials: those of another model, an even grey, or black.

A cue conflict without style transfer (R. Geirhos et al., ImageNet-trained CNNs are biased towards texture,
ICLR 2019): the shape, its holes and its glass stay, so that masks stay what they were.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robustness.data.objects.mesh import Mesh, Surface, to_linear
from robustness.data.objects.views import View

GREY = 0.5
"""The sRGB value of the even grey."""


@dataclass(frozen=True)
class Coat:
    """Materials for the triangles of a mesh (F): ``materials`` int32 (F,) into ``surface``, ``texcoords``
    float32 (F, 3, 2)."""

    surface: Surface
    materials: np.ndarray
    texcoords: np.ndarray


def coat_of(view: View, mesh: Mesh, donor: Callable[[], Mesh]) -> Coat | None:
    """What a view's object wears; None for its own materials. ``donor`` reads the model that lends."""
    if view.surface == "own":
        return None
    return lent(mesh, donor()) if view.surface == "other" else even(mesh, GREY * (view.surface == "grey"))


def even(mesh: Mesh, grey: float) -> Coat:
    """One matt grey (sRGB, 0 to 1) everywhere."""
    one = np.ones(1, dtype=np.float32)
    surface = Surface(
        diffuse=np.full((1, 3), to_linear(grey), dtype=np.float32),
        specular=np.zeros((1, 3), dtype=np.float32),
        shininess=one,
        opacity=one,
        texture=np.zeros((1, 3), dtype=np.int64),
        texels=np.ones((1, 4), dtype=np.float32),
        casts=np.ones(1, dtype=bool),
    )
    return Coat(surface, np.zeros(len(mesh.triangles), dtype=np.int32), mesh.texcoords)


def lent(mesh: Mesh, donor: Mesh) -> Coat:
    """The materials of ``donor`` on ``mesh``, in about the shares of the surface that they have there.

    Both surfaces are laid out from 0 to 1, material by material, largest first; a material of the mesh is
    replaced by the donor's at its middle. Textures are projected along the nearest axis, as many texels to a
    unit of length as on the donor.
    """
    own, lenders = _by_area(mesh), _by_area(donor)
    ends = np.cumsum([share for _, share in lenders])
    middles = np.cumsum([share for _, share in own]) - np.array([share for _, share in own]) / 2
    place = np.minimum(np.searchsorted(ends, middles), len(lenders) - 1)
    table = np.zeros(len(mesh.surface.diffuse), dtype=np.int32)
    table[[material for material, _ in own]] = [lenders[index][0] for index in place]
    materials = table[mesh.materials]
    return Coat(_opaque(donor.surface), materials, _projected(mesh) * _density(donor)[materials, None, None])


def _areas(mesh: Mesh) -> np.ndarray:
    a, b, c = mesh.triangles.transpose(1, 0, 2).astype(np.float64)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


def _by_area(mesh: Mesh) -> list[tuple[int, float]]:
    """(Material, share of the surface) of the materials in use, largest first."""
    areas = np.bincount(mesh.materials, _areas(mesh), minlength=len(mesh.surface.diffuse))
    order = [int(i) for i in np.argsort(-areas, kind="stable") if areas[i] > 0]
    return [(material, float(areas[material] / areas.sum())) for material in order]


def _density(mesh: Mesh) -> np.ndarray:
    """Texture periods to a unit of length, of each material (M,); 0 for what has no texture coordinates."""
    along, up = mesh.texcoords[:, 1] - mesh.texcoords[:, 0], mesh.texcoords[:, 2] - mesh.texcoords[:, 0]
    flat = np.abs(along[:, 0] * up[:, 1] - along[:, 1] * up[:, 0]).astype(np.float64) / 2
    count = len(mesh.surface.diffuse)
    solid = np.bincount(mesh.materials, _areas(mesh), minlength=count)
    return np.sqrt(np.bincount(mesh.materials, flat, minlength=count) / np.maximum(solid, 1e-12))


def _projected(mesh: Mesh) -> np.ndarray:
    """Texture coordinates float32 (F, 3, 2) in units of length, along the axis that a triangle faces."""
    a, b, c = mesh.triangles.transpose(1, 0, 2)
    axis = np.abs(np.cross(b - a, c - a)).argmax(1)
    across = np.array([[2, 1], [0, 2], [0, 1]])[axis]
    return np.take_along_axis(mesh.triangles, across[:, None, :].repeat(3, 1), axis=2)


def _opaque(surface: Surface) -> Surface:
    """The surface with the mean colour of a texture in its holes, whose own colour nobody was to see."""
    texels = surface.texels.copy()
    for offset, height, width in {tuple(row) for row in surface.texture.tolist()}:
        piece = texels[offset : offset + height * width]
        hole = piece[:, 3] < 0.5
        if hole.any() and not hole.all():
            piece[hole, :3] = piece[~hole, :3].mean(0)
    return Surface(
        surface.diffuse, surface.specular, surface.shininess, np.ones_like(surface.opacity),
        surface.texture, texels, surface.casts,
    )  # fmt: skip
