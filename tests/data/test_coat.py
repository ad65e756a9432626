"""Coats: the materials of another model in their shares, a shape that stays, grey and black."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robustness.data.image_set import TARGET
from robustness.data.objects.backgrounds import Plain
from robustness.data.objects.coat import coat_of, even, lent
from robustness.data.objects.library import ModelLibrary
from robustness.data.objects.mesh import Mesh, Surface, load_mesh
from robustness.data.objects.renderer import render
from robustness.data.objects.scene import Camera, Light, Placed
from robustness.data.objects.views import at_level, canonical

CAMERA, LIGHT = Camera(20, 15, 4.0, (0, 0.5, 0)), Light(-30, 50)
BACKDROP = Plain(np.array([0.3, 0.5, 0.7], dtype=np.float32))


def bands(heights: list[float], colours: list[tuple], texels: np.ndarray | None = None) -> Mesh:
    """An upright wall, one unit wide, of bands of one material each, from the ground up."""
    triangles, place, materials, low = [], [], [], 0.0
    for index, height in enumerate(heights):
        a, b, c, d = ((-0.5, low, 0), (0.5, low, 0), (0.5, low + height, 0), (-0.5, low + height, 0))
        triangles += [(a, b, c), (a, c, d)]
        # Twice over a unit of length, both ways.
        place += [[(2 * x, 2 * y) for x, y, _ in corners] for corners in ((a, b, c), (a, c, d))]
        materials += [index, index]
        low += height
    count = len(colours)
    flat = np.ones((1, 4), dtype=np.float32) if texels is None else texels.reshape(-1, 4)
    height, width = (0, 0) if texels is None else texels.shape[:2]
    surface = Surface(
        diffuse=np.array(colours, dtype=np.float32),
        specular=np.zeros((count, 3), dtype=np.float32),
        shininess=np.ones(count, dtype=np.float32),
        opacity=np.ones(count, dtype=np.float32),
        texture=np.tile([0, height, width], (count, 1)),
        texels=flat.astype(np.float32),
        casts=np.ones(count, dtype=bool),
    )
    normals = np.zeros((len(triangles), 3, 3), dtype=np.float32)
    normals[..., 2] = 1
    return Mesh("wall", np.array(triangles, dtype=np.float32), normals, np.array(place, dtype=np.float32),
                np.array(materials, dtype=np.int32), surface, (0.5, low / 2, 0.0))  # fmt: skip


def seen(mesh: Mesh, coat: object = None):
    return render([Placed(mesh, coat=coat)], CAMERA, LIGHT, BACKDROP, 48)


def test_materials_are_lent_by_their_shares_of_the_surface() -> None:
    donor = bands([0.6, 0.3, 0.1], [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
    same = lent(bands([0.1, 0.6, 0.3], [(1, 1, 1)] * 3), donor)
    assert same.materials.tolist() == [2, 2, 0, 0, 1, 1]  # largest for largest
    assert set(lent(bands([1.0], [(1, 1, 1)]), donor).materials) == {0}
    halves = lent(bands([0.5, 0.5], [(1, 1, 1)] * 2), donor)
    assert halves.materials.tolist() == [0, 0, 1, 1]  # their middles lie at 0.25 and 0.75


def test_the_colour_is_the_donors_and_the_shape_stays() -> None:
    wall = bands([1.0], [(1, 1, 1)])
    plain, coated = seen(wall), seen(wall, lent(wall, bands([1.0], [(1, 0, 0)])))
    np.testing.assert_array_equal(coated.mask, plain.mask)
    inside = coated.image[coated.mask == TARGET].astype(float)
    assert inside[:, 0].mean() > 10 * inside[:, 1:].mean() or inside[:, 1:].mean() < 40
    np.testing.assert_array_equal(coated.image[coated.mask == 0], plain.image[plain.mask == 0])


def test_a_texture_keeps_its_texels_to_a_unit_of_length() -> None:
    donor = bands([1.0], [(1, 1, 1)], texels=np.ones((4, 4, 4)))
    coat = lent(bands([0.5], [(1, 1, 1)]), donor)
    a, b, c = coat.texcoords[0]
    assert np.linalg.norm(b - a) == pytest.approx(2 * 1.0)
    assert np.linalg.norm(c - b) == pytest.approx(2 * 0.5)


def test_holes_of_the_donor_are_filled_and_those_of_the_mesh_stay() -> None:
    leaf = np.ones((2, 2, 4), dtype=np.float32)
    leaf[:, 0] = (0, 0, 1, 0)  # blue where nobody sees it
    holed, whole = bands([1.0], [(1, 1, 1)], texels=leaf), bands([1.0], [(1, 1, 1)])
    assert not (lent(whole, holed).surface.texels[:, 2] > lent(whole, holed).surface.texels[:, 0]).any()
    through = seen(holed, lent(holed, whole))
    np.testing.assert_array_equal(through.mask, seen(holed).mask)
    assert through.target_area == pytest.approx(seen(whole).target_area / 2, rel=0.1)


def test_black_is_black_and_grey_has_no_hue(library_folder: Path) -> None:
    library = ModelLibrary(library_folder)
    chair = load_mesh(library, library["BlendSwap-CC-0/oakChair"])
    own = seen(chair)
    for grey, limit in ((0.0, 0), (0.5, 130)):
        worn = seen(chair, even(chair, grey))
        np.testing.assert_array_equal(worn.mask, own.mask)
        alone = render([Placed(chair, coat=even(chair, grey))], CAMERA, LIGHT, Plain(np.zeros(3)), 48)
        pixels = alone.image[alone.mask == TARGET].astype(int)
        assert np.ptp(pixels, axis=1).max() <= 1
        assert pixels.max() <= limit or grey
        assert pixels.max() > 60 or not grey


def test_a_view_says_what_is_worn() -> None:
    wall, donor = bands([1.0], [(1, 1, 1)]), bands([1.0], [(0, 1, 0)])
    view = canonical(0, "a view")
    assert coat_of(view, wall, lambda: donor) is None
    worn = coat_of(at_level(view, "cue/surface", "other"), wall, lambda: donor)
    assert worn.surface.diffuse[worn.materials[0]].tolist() == [0, 1, 0]
    assert coat_of(replace(view, surface="black"), wall, lambda: donor).surface.diffuse.max() == 0
