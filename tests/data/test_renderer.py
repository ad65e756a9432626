"""The renderer: known areas and colours of simple plates, and exact masks of real models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robustness.data.image_set import BACKGROUND, DISTRACTOR, TARGET
from robustness.data.objects.backgrounds import Plain, draw
from robustness.data.objects.library import ModelLibrary
from robustness.data.objects.mesh import Mesh, Surface, load_mesh
from robustness.data.objects.renderer import render, target_area
from robustness.data.objects.scene import Camera, Light, Placed

GREY = Plain(np.array([0.5, 0.5, 0.5], dtype=np.float32))
LIGHT = Light(-30, 50)
SIZE = 48
DISTANCE = 4.0
REACH = DISTANCE * np.tan(np.radians(15))  # half of what the camera sees at the target, across


@pytest.fixture(scope="module")
def library(library_folder: Path) -> ModelLibrary:
    return ModelLibrary(library_folder)


def plate(
    half: float = 0.5, colour: tuple = (1, 0, 0), opacity: float = 1.0, texels: np.ndarray | None = None
) -> Mesh:
    """An upright square that looks along +z, its lower edge on the ground."""
    corners = np.array(
        [[-half, 0, 0], [half, 0, 0], [half, 2 * half, 0], [-half, 2 * half, 0]], dtype=np.float32
    )
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    place = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
    normals = np.zeros((2, 3, 3), dtype=np.float32)
    normals[..., 2] = 1
    height, width = (0, 0) if texels is None else texels.shape[:2]
    flat = np.ones((1, 4), dtype=np.float32) if texels is None else texels.reshape(-1, 4).astype(np.float32)
    surface = Surface(
        diffuse=np.array([colour], dtype=np.float32),
        specular=np.zeros((1, 3), dtype=np.float32),
        shininess=np.ones(1, dtype=np.float32),
        opacity=np.array([opacity], dtype=np.float32),
        texture=np.array([[0, height, width]]),
        texels=flat,
        casts=np.array([opacity > 0.6]),
    )
    return Mesh(
        "plate",
        corners[faces],
        normals,
        place[faces],
        np.zeros(2, dtype=np.int32),
        surface,
        (half, half, 0.0),
    )


def camera_on(mesh: Mesh, azimuth: float = 0, elevation: float = 0, **more) -> Camera:
    return Camera(azimuth, elevation, DISTANCE, (0, mesh.half[1], 0), **more)


@pytest.mark.parametrize("roll", [0, 90, 37])
@pytest.mark.parametrize("shift", [(0, 0), (0.2, -0.1)])
def test_a_plate_has_the_area_of_its_projection(roll: float, shift: tuple) -> None:
    mesh = plate()
    camera = camera_on(mesh, roll=roll, shift=shift)
    expected = (0.5 / REACH * SIZE) ** 2
    drawn = render([Placed(mesh)], camera, LIGHT, GREY, SIZE)
    assert drawn.target_area == pytest.approx(expected, rel=0.045)
    assert target_area([Placed(mesh)], camera, SIZE) == pytest.approx(drawn.target_area, abs=1e-3)
    rows, columns = np.nonzero(drawn.mask == TARGET)
    middle = (np.array([columns.mean(), rows.mean()]) + 0.5) / SIZE - 0.5
    np.testing.assert_allclose(middle, shift, atol=0.01)


def test_nearer_and_farther_follow_the_square_of_distance() -> None:
    mesh = plate()
    areas = [target_area([Placed(mesh)], Camera(0, 0, distance, (0, 0.5, 0)), 96) for distance in (4, 8)]
    assert areas[0] / areas[1] == pytest.approx(4, rel=0.05)


def test_a_turned_plate_looks_as_from_a_turned_camera() -> None:
    mesh = plate(texels=np.random.default_rng(0).random((8, 8, 4)) * [1, 1, 1, 0] + [0, 0, 0, 1])
    turned = render([Placed(mesh, turn=30)], camera_on(mesh), Light(20, 50), GREY, SIZE, shadows=False)
    moved = render([Placed(mesh)], camera_on(mesh, azimuth=-30), Light(-10, 50), GREY, SIZE, shadows=False)
    assert np.abs(turned.image.astype(int) - moved.image).max() <= 1


def test_picture_axes_right_up_and_texture_upright() -> None:
    """Texture rows run downwards: red above, green right below, blue left below."""
    texels = np.zeros((2, 2, 4))
    texels[..., 3] = 1
    texels[0, :, 0] = texels[1, 1, 1] = texels[1, 0, 2] = 1
    mesh = plate(colour=(1, 1, 1), texels=texels)
    image = render([Placed(mesh)], camera_on(mesh), LIGHT, GREY, SIZE).image.astype(int)
    middle, step = SIZE // 2, SIZE // 8
    assert image[middle - step, middle - step].argmax() == 0
    assert image[middle - step, middle + step].argmax() == 0
    assert image[middle + step, middle + step].argmax() == 1
    assert image[middle + step, middle - step].argmax() == 2


def test_half_transparent_lets_half_of_the_background_through() -> None:
    pane = plate(colour=(0, 0, 0), opacity=0.5)
    drawn = render([Placed(pane)], camera_on(pane), LIGHT, GREY, SIZE)
    through = (drawn.image[SIZE // 2, SIZE // 2] / 255) ** 2.2
    np.testing.assert_allclose(through, 0.25, atol=0.01)
    assert drawn.target_area == pytest.approx(0.5 * (0.5 / REACH * SIZE) ** 2, rel=0.045)
    assert drawn.mask[SIZE // 2, SIZE // 2] == TARGET


def test_cut_outs_show_what_is_behind() -> None:
    texels = np.ones((1, 2, 4))
    texels[0, 0, 3] = 0  # the left half is a hole
    front, back = plate(colour=(0, 0, 1), texels=texels), plate(colour=(1, 0, 0))
    things = [Placed(back), Placed(front, position=(0, 0, 0.5), kind=DISTRACTOR)]
    drawn = render(things, camera_on(back), LIGHT, GREY, SIZE)
    middle = SIZE // 2
    assert drawn.mask[middle, middle - 6] == TARGET
    assert drawn.mask[middle, middle + 6] == DISTRACTOR
    assert drawn.image[middle, middle - 6].argmax() == 0
    assert drawn.image[middle, middle + 6].argmax() == 2
    # The hole is a little larger than the half behind it that it shows: perspective.
    assert drawn.target_area == pytest.approx(0.5 * (0.5 / REACH * SIZE) ** 2, rel=0.05)


@pytest.mark.parametrize("behind", [True, False])
def test_the_nearer_thing_hides_the_farther(behind: bool) -> None:
    red, blue = plate(colour=(1, 0, 0)), plate(colour=(0, 0, 1))
    other = Placed(blue, position=(0, 0, -0.5 if behind else 0.5), kind=DISTRACTOR)
    for things in ([Placed(red), other], [other, Placed(red)]):
        drawn = render(things, camera_on(red), LIGHT, GREY, SIZE)
        assert drawn.mask[SIZE // 2, SIZE // 2] == (TARGET if behind else DISTRACTOR)
        assert (drawn.target_area > 0) is behind


def test_a_shadow_falls_away_from_the_light_and_only_on_the_ground() -> None:
    mesh = plate()
    camera = camera_on(mesh, elevation=40)
    shadow = {}
    for azimuth in (-60, 60):
        with_shadow, without = (
            render([Placed(mesh)], camera, Light(azimuth, 40), GREY, SIZE, shadows=on).image.astype(int)
            for on in (True, False)
        )
        shadow[azimuth] = np.nonzero((without - with_shadow).sum(2) > 60)[1].mean()
    assert shadow[-60] > SIZE / 2 + 3  # light from the left, shadow to the right
    assert shadow[60] < SIZE / 2 - 3
    below = render([Placed(mesh)], camera_on(mesh, elevation=-40), LIGHT, GREY, SIZE)
    outside = below.image[below.mask == BACKGROUND]
    assert (outside == outside[0]).all()  # seen from below there is no ground


def test_surfaces_that_face_the_light_are_brighter() -> None:
    mesh = plate(colour=(0.5, 0.5, 0.5))
    middle = SIZE // 2
    bright, dark = (
        render([Placed(mesh)], camera_on(mesh), Light(azimuth, 40), GREY, SIZE).image[middle, middle, 0]
        for azimuth in (0, 180)
    )
    assert int(bright) > int(dark) + 40


REAL = ["BlendSwap-CC-0/oakChair", "BlendSwap-CC-BY/spider_plant", "Scopia/acacia", "KatorLegaz/12-oz-glass"]


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("kind", ["plain", "noise", "room"])
def test_a_model_differs_from_its_background_only_inside_its_mask(library: ModelLibrary, name, kind) -> None:
    mesh = load_mesh(library, library[name])
    camera = camera_on(mesh, azimuth=35, elevation=20)
    backdrop = draw(kind, np.random.default_rng(3), room_half=6)
    drawn = render([Placed(mesh)], camera, LIGHT, backdrop, 64, shadows=False)
    empty = render([], camera, LIGHT, backdrop, 64, shadows=False)
    differs = (drawn.image != empty.image).any(2)
    assert not (differs & (drawn.mask != TARGET)).any()
    # Inside, nearly every pixel shows the model (one may by chance have the background's colour).
    assert differs[drawn.mask == TARGET].mean() > 0.9
    assert (empty.mask == BACKGROUND).all()
    # With shadows, what is outside the mask can only get darker.
    shaded = render([Placed(mesh)], camera, LIGHT, backdrop, 64)
    outside = drawn.mask == BACKGROUND
    assert (shaded.image[outside] <= empty.image[outside]).all()
    np.testing.assert_array_equal(shaded.mask, drawn.mask)


def test_things_that_do_not_cover_each_other_do_not_change_each_others_mask(library: ModelLibrary) -> None:
    chair, plant = (load_mesh(library, library[name]) for name in REAL[:2])
    camera = replace(camera_on(chair, elevation=15), distance=7.0)
    aside = Placed(plant, position=(1.2, 0, 0), scale=0.5, kind=DISTRACTOR)
    alone = render([Placed(chair)], camera, LIGHT, GREY, 64)
    both = render([Placed(chair), aside], camera, LIGHT, GREY, 64)
    np.testing.assert_array_equal(both.mask == TARGET, alone.mask == TARGET)
    assert both.target_area == pytest.approx(alone.target_area, rel=1e-6)
    assert both.clutter_area > 10
    assert both.clutter_area == pytest.approx((both.mask == DISTRACTOR).sum(), rel=0.5)


@pytest.mark.parametrize("kind", ["plain", "gradient", "noise", "room"])
def test_backdrops_are_in_range_and_drawn_from_the_seed(kind: str) -> None:
    images = [
        render(
            [],
            Camera(20, 15, 4, (0, 0.5, 0)),
            LIGHT,
            draw(kind, np.random.default_rng(seed), room_half=6),
            32,
        ).image
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(images[0], images[1])
    assert (images[0] != images[2]).any()
    spread = images[0].reshape(-1, 3).std(0).max()
    assert spread == 0 if kind == "plain" else spread > 5


def test_an_unknown_backdrop_is_refused() -> None:
    with pytest.raises(ValueError, match="no background 'forest'"):
        draw("forest", np.random.default_rng(0), room_half=6)


def test_a_room_stays_where_it_is_when_the_camera_turns() -> None:
    """The same wall is seen from both sides of the object: the picture follows the camera, not the room."""
    room = draw("room", np.random.default_rng(5), room_half=6)
    first, second, back = (
        render([], Camera(azimuth, 10, 4, (0, 0.5, 0)), LIGHT, room, 32).image.astype(int)
        for azimuth in (0, 90, 360)
    )
    assert np.abs(first - back).mean() < 1
    assert np.abs(first - second).mean() > 5
