"""Meshes of the real library: size, place, orientation, normals, textures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robustness.data.objects.library import ModelLibrary
from robustness.data.objects.mesh import Mesh, load_mesh

CHOSEN = [
    "BlendSwap-CC-0/oakChair",
    "BlendSwap-CC-0/deckChair",  # slightly turned by the catalogue
    "BlendSwap-CC-BY/spider_plant",
    "KatorLegaz/scooter",  # turned half round by the catalogue; opacity texture
    "Reallusion/male01",
    "Scopia/silla_teca",  # turned a quarter by the catalogue
    "Scopia/armchair1",  # laid upright by the catalogue
    "Scopia/bus",  # opacity texture
]


@pytest.fixture(scope="module")
def library(library_folder: Path) -> ModelLibrary:
    return ModelLibrary(library_folder)


@pytest.fixture(scope="module", params=CHOSEN)
def mesh(request: pytest.FixtureRequest, library: ModelLibrary) -> Mesh:
    return load_mesh(library, library[request.param])


def test_it_stands_on_the_ground_in_the_middle_with_unit_size(mesh: Mesh) -> None:
    low, high = mesh.triangles.reshape(-1, 3).min(0), mesh.triangles.reshape(-1, 3).max(0)
    np.testing.assert_allclose((low + high) / 2, (0, mesh.half[1], 0), atol=1e-4)
    assert low[1] == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose((high - low) / 2, mesh.half, atol=1e-4)
    assert np.linalg.norm(mesh.half) == pytest.approx(1, abs=1e-4)


def test_its_sides_are_those_of_the_catalogue(mesh: Mesh, library: ModelLibrary) -> None:
    size = np.array(library[mesh.id].size)
    np.testing.assert_allclose(np.array(mesh.half) / mesh.half[1], size / size[1], rtol=1e-3)


def test_normals_are_unit_and_mostly_along_the_faces(mesh: Mesh) -> None:
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=2), 1, atol=1e-3)
    face = np.cross(
        mesh.triangles[:, 1] - mesh.triangles[:, 0], mesh.triangles[:, 2] - mesh.triangles[:, 0]
    ).astype(np.float64)
    area = np.linalg.norm(face, axis=1)
    cosine = np.abs((face[:, None] * mesh.normals).sum(2)).mean(1) / np.maximum(area, 1e-20)
    assert np.average(cosine, weights=area) > 0.85


def test_textures_are_small_and_linear(mesh: Mesh) -> None:
    texture = mesh.surface.texture
    assert texture[:, 1:].max() <= 128
    assert (texture[:, 0] + texture[:, 1] * texture[:, 2]).max() <= len(mesh.surface.texels)
    assert mesh.surface.texels.min() >= 0
    assert mesh.surface.texels.max() <= 1
    assert len(mesh.surface.diffuse) > mesh.materials.max()


def test_cut_outs_throw_no_shadow_of_their_whole_card(library: ModelLibrary) -> None:
    mesh = load_mesh(library, library["Scopia/acacia"])
    cards = ~mesh.surface.casts[mesh.materials]
    assert cards.any() or mesh.surface.texels[:, 3].min() == 1
    assert len(mesh.shadow_triangles) == (~cards).sum()


@pytest.mark.parametrize(
    ("name", "above"),
    [("BlendSwap-CC-0/desklamp", 0.3), ("Scopia/armchair1", 0.0), ("Reallusion/male01", 0.0)],
)
def test_up_is_up(library: ModelLibrary, name: str, above: float) -> None:
    """The seat's back, the shade and the head are over the middle: more surface looks up there than below."""
    mesh = load_mesh(library, library[name])
    assert mesh.half[1] > max(mesh.half[0], mesh.half[2]) * 0.8 + above * 0.3
