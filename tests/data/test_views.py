"""Scenes: paired levels, the camera alone moves, distractors are nested, occluders hide what they should."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from robustness import shifts
from robustness.data.objects.library import ModelLibrary
from robustness.data.objects.mesh import Mesh, load_mesh
from robustness.data.objects.placement import backdrop_of, camera_of, light_of, measured_visibility, place
from robustness.data.objects.renderer import render, target_area
from robustness.data.objects.views import at_level, canonical, diverse, on_sphere
from robustness.errors import UserError
from robustness.shifts.rendered import RANDOM_LEVELS

POOL = [
    "BlendSwap-CC-0/basketball",
    "BlendSwap-CC-BY/suitcase",
    "Scopia/cone",
    "BlendSwap-CC-0/teddyBear",
    "Scopia/dog-house",
]
OBJECTS = ["BlendSwap-CC-0/oakChair", "Scopia/clear_sofa", "KatorLegaz/classic-lamppost"]
CHANGES = {
    "pose/azimuth": {"azimuth"},
    "pose/elevation": {"elevation"},
    "plane/roll": {"roll"},
    "plane/distance": {"octaves"},
    "plane/position": {"offset"},
    "clutter/distractors": {"distractors"},
    "clutter/background": {"background"},
    "clutter/occlusion": {"hidden"},
    "light/azimuth": {"light_azimuth"},
    "cue/surface": {"surface"},
    "combined/pose_and_clutter": {"azimuth", "distractors"},
    "combined/everything": {
        *("azimuth", "elevation", "roll", "octaves", "offset", "light_azimuth", "background", "distractors")
    },
}


@pytest.fixture(scope="module")
def mesh_of(library_folder: Path):
    library = ModelLibrary(library_folder)
    return cache(lambda name: load_mesh(library, library[name]))


@pytest.fixture(scope="module")
def pool(mesh_of):
    return lambda index: mesh_of(POOL[index])


def things(view, mesh: Mesh, pool) -> list:
    return place(view, mesh, pool, len(POOL), 0)


def image(view, mesh: Mesh, pool) -> np.ndarray:
    return render(
        things(view, mesh, pool), camera_of(view, mesh), light_of(view), backdrop_of(view, 0), 48
    ).image


@pytest.mark.parametrize("factor", CHANGES)
def test_a_level_changes_its_things_and_the_clean_level_none(factor: str) -> None:
    view = canonical(0, "a view")
    known = shifts.get(factor)
    assert at_level(view, factor, known.clean_level) is view
    for level in known.levels:
        changed = at_level(view, factor, level)
        differing = {
            each.name for each in fields(view) if getattr(view, each.name) != getattr(changed, each.name)
        }
        assert differing == (set() if level == known.clean_level else CHANGES[factor])


def test_every_rendered_factor_is_tested_here() -> None:
    assert set(CHANGES) == set(shifts.names("rendered")) - {"pose/sphere", "pose/random"}


def test_a_level_of_the_sphere_is_a_place_whatever_the_view() -> None:
    view = at_level(canonical(0, "a view"), "pose/sphere", "az22.5_el-30")
    assert (view.azimuth, view.elevation) == (22.5, -30)


def test_random_views_are_the_same_for_every_model_and_spread_over_the_sphere() -> None:
    view = canonical(0, "a view")
    drawn = [at_level(view, "pose/random", level) for level in RANDOM_LEVELS]
    assert drawn == [at_level(view, "pose/random", level) for level in RANDOM_LEVELS]
    assert len({each.azimuth for each in drawn}) == len(drawn) == 16
    assert drawn[0] != at_level(canonical(0, "another"), "pose/random", RANDOM_LEVELS[0])
    assert all(-30 <= each.elevation <= 90 for each in drawn)
    assert {each.distractors for each in drawn} == {0}


@pytest.mark.parametrize(
    ("factor", "level", "message"),
    [
        ("pose/azimut", 10, "is unknown"),
        ("pose/azimuth", 200, "200 is not a number from 0 to 180"),
        ("corruption/contrast", 1, "no factor of a rendered scene"),
    ],
)
def test_unknown_factors_and_levels_are_refused(factor: str, level, message: str) -> None:
    with pytest.raises(UserError, match=message):
        at_level(canonical(0, "a view"), factor, level)


@pytest.mark.parametrize("name", OBJECTS)
def test_azimuth_moves_the_camera_and_nothing_else(name: str, mesh_of, pool) -> None:
    mesh = mesh_of(name)
    clean = at_level(canonical(0, name), "clutter/background", "room")
    moved = at_level(clean, "pose/azimuth", 90)
    assert things(moved, mesh, pool) == things(clean, mesh, pool)
    assert light_of(moved) == light_of(clean)
    before, after = camera_of(clean, mesh), camera_of(moved, mesh)
    assert abs(after.azimuth - before.azimuth) == 90
    assert (after.elevation, after.distance, after.target) == (
        before.elevation,
        before.distance,
        before.target,
    )
    assert (after.roll, after.shift) == (before.roll, before.shift)
    rooms = [backdrop_of(view, 0) for view in (clean, moved)]
    for one, other in zip(rooms[0].patterns, rooms[1].patterns, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(rooms[0].posters, rooms[1].posters)
    assert (image(clean, mesh, pool) != image(moved, mesh, pool)).any()


def test_canonical_views_are_frontal_and_diverse_views_are_not() -> None:
    frontal = [canonical(0, f"view {i}") for i in range(200)]
    assert max(abs(view.azimuth) for view in frontal) <= 25
    assert {(view.background, view.distractors, view.front, view.roll) for view in frontal} == {
        ("plain", 0, None, 0)
    }
    assert len({view.azimuth for view in frontal}) == 200
    varied = [diverse(0, f"view {i}") for i in range(200)]
    for factor in ("azimuth", "elevation", "roll", "octaves", "offset", "background", "distractors", "front"):
        assert len({getattr(view, factor) for view in varied}) > 3
    assert np.ptp([view.azimuth for view in varied]) > 300


def test_views_depend_on_the_seed_and_the_key_alone() -> None:
    assert canonical(1, "key") == canonical(1, "key")
    assert canonical(1, "key") != canonical(2, "key")
    assert canonical(1, "key").azimuth != canonical(1, "other").azimuth


def test_the_sphere_is_counted_from_the_front(mesh_of, pool) -> None:
    mesh = mesh_of(OBJECTS[0])
    view = canonical(0, "a view")
    assert camera_of(on_sphere(view, 0, 0), mesh).origin[0] == pytest.approx(0, abs=1e-6)
    assert camera_of(on_sphere(view, 90, 0), mesh).origin[0] == pytest.approx(view.distance, rel=1e-6)


@pytest.mark.parametrize("name", OBJECTS)
def test_distractors_are_nested_apart_and_leave_the_target_in_sight(name: str, mesh_of, pool) -> None:
    mesh = mesh_of(name)
    clean = canonical(0, name)
    few, many = (things(at_level(clean, "clutter/distractors", count), mesh, pool) for count in (2, 8))
    assert few == many[: len(few)]
    assert 2 <= len(few) <= 3
    assert len(many) > 4
    camera = camera_of(clean, mesh)
    for placed in (few, many):
        visible = measured_visibility(placed, camera, 48, target_area(placed, camera, 48))
        assert visible > 0.97
    assert measured_visibility(few[:1], camera, 48, 0.0) == 1


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("hidden", [0.2, 0.4, 0.6, 0.8])
def test_occluders_hide_the_wanted_fraction(name: str, hidden: float, mesh_of, pool) -> None:
    mesh = mesh_of(name)
    view = at_level(canonical(0, name), "clutter/occlusion", hidden)
    placed = things(view, mesh, pool)
    camera = camera_of(view, mesh)
    visible = measured_visibility(placed, camera, 64, target_area(placed, camera, 64))
    assert visible == pytest.approx(1 - hidden, abs=0.06)
    assert placed[0] == things(canonical(0, name), mesh, pool)[0]


def test_levels_are_seen_in_the_picture(mesh_of, pool) -> None:
    mesh = mesh_of(OBJECTS[0])
    clean = canonical(0, "seen")
    camera = camera_of(clean, mesh)
    area = target_area(things(clean, mesh, pool), camera, 64)
    far = at_level(clean, "plane/distance", 1)
    assert target_area(things(far, mesh, pool), camera_of(far, mesh), 64) == pytest.approx(area / 4, rel=0.2)
    aside = at_level(clean, "plane/position", 0.2)
    drawn = [
        render(things(v, mesh, pool), camera_of(v, mesh), light_of(v), backdrop_of(v, 0), 64).mask == 1
        for v in (at_level(far, "plane/position", 0), at_level(far, "plane/position", 0.2))
    ]
    middles = [np.argwhere(mask).mean(0) for mask in drawn]
    assert np.linalg.norm(middles[1] - middles[0]) == pytest.approx(0.2 * 64, rel=0.05)
    assert camera_of(aside, mesh).shift != (0, 0)
