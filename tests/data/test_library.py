"""The catalogues of the model library: the real ones, and small wrong ones."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from robustness.data.objects import library as model_library
from robustness.data.objects.library import CATALOGUE, ModelLibrary, safe_path
from robustness.data.objects.mesh import load_mesh
from robustness.errors import UserError

ENTRY = {
    "id": "Maker#thing",
    "name": "Thing",
    "model": "/thing/thing.obj",
    "width": "10",
    "height": "20",
    "depth": "30",
}
TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 1\nf 1 2 3\n"


def write_library(folder: Path, files: dict[str, str], **changes: str) -> Path:
    """A library of one catalogue with one model."""
    entry = {**ENTRY, **changes}
    text = "name=Small\n" + "".join(f"{key}#1={value}\n" for key, value in entry.items() if value is not None)
    with zipfile.ZipFile(folder / "Small.sh3f", "w") as archive:
        archive.writestr(CATALOGUE, text)
        for name, content in files.items():
            archive.writestr(name, content)
    return folder


def test_the_real_catalogues(library_folder: Path) -> None:
    library = ModelLibrary(library_folder)
    assert len(library) == 820
    assert {model.licence for model in library.models.values()} == {"CC0 1.0", "CC BY 3.0", "CC BY 3.0 US"}
    chair = library["BlendSwap-CC-0/oakChair"]
    assert (chair.name, chair.creator, chair.category) == ("Oak chair", "Doug C", "Living room")
    assert sum(model.rotation != ((1, 0, 0), (0, 1, 0), (0, 0, 1)) for model in library.models.values()) == 33
    assert all(model.creator for model in library.models.values())


def test_an_unknown_model_is_a_users_mistake(library_folder: Path) -> None:
    with pytest.raises(UserError, match="no model 'Scopia/unicorn'"):
        ModelLibrary(library_folder)["Scopia/unicorn"]


def test_an_empty_folder_and_a_damaged_file_are_one_line(tmp_path: Path, library_folder: Path) -> None:
    with pytest.raises(UserError, match=r"no \.sh3f file there"):
        ModelLibrary(tmp_path)
    whole = (library_folder / "KatorLegaz.sh3f").read_bytes()
    (tmp_path / "KatorLegaz.sh3f").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"KatorLegaz\.sh3f is damaged") as error:
        ModelLibrary(tmp_path)
    assert "\n" not in str(error.value)


def test_damage_inside_a_file_is_met_where_it_is_read(tmp_path: Path, library_folder: Path) -> None:
    data = bytearray((library_folder / "KatorLegaz.sh3f").read_bytes())
    with zipfile.ZipFile(library_folder / "KatorLegaz.sh3f") as archive:
        start = archive.getinfo("katorlegaz/cafe-chair/cafe-chair.obj").header_offset
    data[start + 400 : start + 500] = bytes(100)
    (tmp_path / "KatorLegaz.sh3f").write_bytes(data)
    library = ModelLibrary(tmp_path)
    with pytest.raises(ValueError, match=r"KatorLegaz/cafe-chair: .*cafe-chair\.obj"):
        load_mesh(library, library["KatorLegaz/cafe-chair"])
    load_mesh(library, library["KatorLegaz/dining-chair"])


@pytest.mark.parametrize(
    "path", ["../secret", "a/../../secret", "/../secret", "..\\secret", "C:/secret", "..", "."]
)
def test_paths_cannot_leave_the_archive(path: str) -> None:
    with pytest.raises(ValueError, match="leaves the archive"):
        safe_path(path)


def test_harmless_paths_are_kept() -> None:
    assert safe_path("/chairs/./oak/../pine.obj") == "chairs/pine.obj"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": "wide"}, "the entry Maker#thing is wrong"),
        ({"width": None}, "the entry Maker#thing is wrong"),
        ({"height": "0"}, "has the size"),
        ({"depth": "nan"}, "has the size"),
        ({"height": "1e30"}, "has the size"),
        ({"modelRotation": "1 0 0"}, "the entry Maker#thing is wrong"),
        ({"modelRotation": "nan 0 0 0 1 0 0 0 1"}, "has the size"),
        ({"model": "../../etc/passwd"}, "leaves the archive"),
    ],
)
def test_wrong_entries_are_refused(tmp_path: Path, changes: dict, message: str) -> None:
    write_library(tmp_path, {}, **changes)
    with pytest.raises(UserError, match=message):
        ModelLibrary(tmp_path)


def test_a_catalogue_without_models_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "Small.sh3f", "w") as archive:
        archive.writestr(CATALOGUE, "name=Small\n")
    with pytest.raises(UserError, match="lists no models"):
        ModelLibrary(tmp_path)


def test_absurd_sizes_are_refused_before_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = ModelLibrary(write_library(tmp_path, {"thing/thing.obj": TRIANGLE * 100}))
    monkeypatch.setattr(model_library, "MAX_FILE_BYTES", 1000)
    with pytest.raises(ValueError, match="claims 3200 bytes"):
        library.read("Small", "thing/thing.obj")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"thing/thing\.obj is not in Small\.sh3f"),
        ({"thing/thing.obj": "v 0 0 0\n"}, "no faces"),
        ({"thing/thing.obj": TRIANGLE.replace("0 1 1", "0 nan 1")}, "not a finite number"),
        ({"thing/thing.obj": TRIANGLE.replace("0 1 1", "2 0 0")}, "degenerate"),
        ({"thing/thing.obj": TRIANGLE.replace("0 1 1", "1e12 0 1")}, "its size is"),
    ],
)
def test_a_model_that_cannot_be_read_is_named(tmp_path: Path, files: dict, message: str) -> None:
    library = ModelLibrary(write_library(tmp_path, files))
    with pytest.raises(ValueError, match=f"Small/thing: .*{message}"):
        load_mesh(library, library["Small/thing"])


@pytest.mark.parametrize("name", ["../../outside.png", "C:/outside.png", "missing.png"])
def test_textures_that_are_not_there_are_left_out_with_a_warning(tmp_path: Path, name: str) -> None:
    files = {
        "thing/thing.obj": "mtllib thing.mtl\nusemtl a\n" + TRIANGLE,
        "thing/thing.mtl": f"newmtl a\nKd 0.5 0.25 1\nmap_Kd {name}\n",
    }
    library = ModelLibrary(write_library(tmp_path, files))
    mesh = load_mesh(library, library["Small/thing"])
    assert len(mesh.warnings) == 1
    assert name in mesh.warnings[0]
    assert mesh.surface.texture[mesh.materials[0], 1] == 0
    assert mesh.surface.diffuse[mesh.materials[0]] == pytest.approx([0.5**2.2, 0.25**2.2, 1], rel=1e-5)


def test_a_texture_that_claims_absurd_pixels_is_left_out(tmp_path: Path) -> None:
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n"
    for part in (chunk, b"IDAT" + zlib.compress(b""), b"IEND"):
        png += struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
    write_library(
        tmp_path,
        {
            "thing/thing.obj": "mtllib thing.mtl\nusemtl a\n" + TRIANGLE,
            "thing/thing.mtl": "newmtl a\nmap_Kd huge.png\n",
        },
    )
    with zipfile.ZipFile(tmp_path / "Small.sh3f", "a") as archive:
        archive.writestr("thing/huge.png", png)
    library = ModelLibrary(tmp_path)
    (warning,) = load_mesh(library, library["Small/thing"]).warnings
    assert "huge.png" in warning
    assert "pixels" in warning
