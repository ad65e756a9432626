"""OBJ and MTL text: polygons, indices of every form, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from robustness.data.objects.obj_format import parse_mtl, parse_obj

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"


def area(text: str) -> float:
    obj = parse_obj(text)
    a, b, c = (obj.positions[obj.corners[:, corner, 0]] for corner in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


@pytest.mark.parametrize(
    "face",
    [
        "f 1 2 3 4",
        "f -4 -3 -2 -1",
        "f 1/1 2/1 3/1 4/1",
        "f 1//1 2//1 3//1 4//1",
        "f 1/1/1 2/1/1  3/1/1 4/1/1 ",
    ],
)
def test_a_square_in_every_form_of_indices(face: str) -> None:
    text = SQUARE + "vt 0.5 0.25\nvn 0 0 1\n" + face + "\n"
    obj = parse_obj(text)
    assert obj.corners.shape == (2, 3, 3)
    assert area(text) == pytest.approx(1)
    has = [bool((obj.corners[:, :, i] == 0).all()) for i in (1, 2)]
    slashes = face.split()[1].split("/")
    assert has == [len(slashes) > 1 and slashes[1] != "", len(slashes) > 2]
    assert (obj.corners[:, :, 1:][obj.corners[:, :, 1:] != 0] == -1).all()


def test_mixed_forms_in_one_file() -> None:
    obj = parse_obj(SQUARE + "vt 0 0\nf 1/1 2/1 3/1\nf 1 3 4\n")
    assert obj.corners[:, :, 1].tolist() == [[0, 0, 0], [-1, -1, -1]]


def test_relative_indices_count_from_what_was_read_so_far() -> None:
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\nv 0 0 1\nv 1 0 1\nv 0 1 1\nf -3 -2 -1\n"
    assert parse_obj(text).corners[:, :, 0].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("axes", ["xyz", "yzx", "zxy"])
@pytest.mark.parametrize("turn", [1, -1])
def test_concave_polygons_are_filled_without_overlap(axes: str, turn: int) -> None:
    outline = [(0, 0), (3, 0), (3, 1), (1, 1), (1, 3), (0, 3)][::turn]  # an L of area 5
    lines = []
    for x, y in outline:
        place = dict(zip(axes, (x, y, 7), strict=True))
        lines.append(f"v {place['x']} {place['y']} {place['z']}")
    assert area("\n".join(lines) + "\nf 1 2 3 4 5 6\n") == pytest.approx(5)


@pytest.mark.parametrize("sides", [5, 6, 40])
def test_convex_polygons_are_filled(sides: int) -> None:
    angles = 2 * np.pi * np.arange(sides) / sides
    lines = [f"v {np.cos(angle)} 0 {np.sin(angle)}" for angle in angles]
    text = "\n".join(lines) + "\nf " + " ".join(str(i + 1) for i in range(sides)) + "\n"
    assert len(parse_obj(text).corners) == sides - 2
    assert area(text) == pytest.approx(sides / 2 * np.sin(2 * np.pi / sides))


@pytest.mark.parametrize("start", range(4))
def test_concave_quads_are_cut_along_the_inner_diagonal(start: int) -> None:
    dart = [(0, 0), (2, 1), (0, 2), (1, 1)]
    order = [*range(start, 4), *range(start)]
    text = "\n".join(f"v {dart[i][0]} {dart[i][1]} 0" for i in order) + "\nf 1 2 3 4\n"
    assert area(text) == pytest.approx(1)


def test_materials_and_smoothing_belong_to_the_faces_after_them() -> None:
    text = (
        SQUARE
        + "mtllib a b.mtl\nf 1 2 3\nusemtl red\ns 1\nf 1 3 4\n"
        + "usemtl blue\ns off\nf 1 2 4\nusemtl red\nf 2 3 4\n"
    )
    obj = parse_obj(text)
    assert obj.materials.tolist() == [-1, 0, 1, 0]
    assert obj.smooth.tolist() == [False, True, False, False]
    assert obj.material_names == ["red", "blue"]
    assert obj.libraries == ["a b.mtl"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v 0 0 0\n", "no faces"),
        ("", "no faces"),
        (SQUARE + "f 1 2\n", "no faces"),
        (SQUARE + "f 1 2 5\n", "not there"),
        (SQUARE + "f 1 2 -5\n", "not there"),
        (SQUARE + "f 1/1 2/1 3/1\n", "not there"),
        (SQUARE + "v nan 0 0\nf 1 2 3\n", "not a finite number"),
        (SQUARE + "v 1e999 0 0\nf 1 2 3\n", "not a finite number"),
        (SQUARE + "v one 0 0\nf 1 2 3\n", "not a number"),
        (SQUARE + "f 1 2 x\n", "not a number"),
        (SQUARE + "vt 0 0\nf 1/1 2/1 3\n", "not written alike"),
        (SQUARE + "vt 0 0\nf 1/1 2/ 3/1\n", "not written alike|not a number"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_obj(text)


def test_materials() -> None:
    text = "newmtl red\nKd 1 0 0.5\nKs 2 0 0\nNs 5000\nd 0.25\nmap_Kd -s 1 1 1 wood.jpg\n"
    text += "newmtl two words\nmap_d a.png\n"
    materials = parse_mtl(text)
    red = materials["red"]
    assert red.diffuse == (1, 0, 0.5)
    assert red.specular == (1, 0, 0)  # no colour is brighter than full
    assert red.shininess == 1000
    assert red.opacity == 0.25
    assert red.texture == "-s 1 1 1 wood.jpg"
    assert materials["two words"].opacity_texture == "a.png"
    with pytest.raises(ValueError, match="Kd 1 x 0"):
        parse_mtl("newmtl a\nKd 1 x 0\n")
