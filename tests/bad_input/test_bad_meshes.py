"""A damaged model library, and models that cannot be read: a class without an object left is refused."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
from pathlib import Path

import pytest
from spoiling import Case, Spoil, cut, met, remove, write
from tiny_run import BOX, CATALOGUE_FILE, run_stage, write_library

from robustness.data.objects.library import CATALOGUE

IMAGES = Path("data/images")


def library(**replaced: str | bytes | None) -> Spoil:
    return lambda: write_library(Path("data/library"), **replaced) and None


def claims(size: int) -> Spoil:
    """A model whose entry in the archive says that it unpacks to ``size`` bytes."""

    def spoil() -> None:
        path = Path("data/library") / CATALOGUE_FILE
        data = bytearray(path.read_bytes())
        at = data.rindex(b"chair_train/chair_train.obj") - 46 + 24  # the central directory's entry
        data[at : at + 4] = struct.pack("<I", size)
        path.write_bytes(data)

    return spoil


def leaves_its_folder() -> None:
    path = Path("data/library") / CATALOGUE_FILE
    with zipfile.ZipFile(path) as archive:
        text = archive.read(CATALOGUE).decode()
    library(catalogue=text.replace("/chair_train/chair_train.obj", "/../../outside.obj"))()


MANY_FACES = BOX + "f " + "1 " * 4_000_001 + "\n"
DAMAGED: dict[str, Case] = {
    "no library": (remove("data/library"), "render", ("data/library", "no .sh3f file", "fetch")),
    "archive cut short": (
        cut(f"data/library/{CATALOGUE_FILE}"),
        "render",
        (CATALOGUE_FILE, "damaged", "fetch"),
    ),
    "archive that is none": (
        write(f"data/library/{CATALOGUE_FILE}", b"x" * 99),
        "render",
        ("damaged", "fetch"),
    ),
    "no catalogue": (library(catalogue=""), "render", (CATALOGUE_FILE, "lists no models", "fetch")),
    "path out of the archive": (leaves_its_folder, "render", ("leaves the archive", CATALOGUE_FILE)),
    "zip bomb": (claims(3 << 30), "render", ("'chair'", "claims", "3221225472")),
    "zip that lies": (claims(10), "render", ("'chair'", "chair_train.obj", "damaged")),
    "bomb of spaces": (library(chair_train=" " * (65 << 20)), "render", ("'chair'", "claims")),
    "mesh that is missing": (library(chair_train=None), "render", ("'chair'", "chair_train.obj is not in")),
    "no faces": (library(chair_train="v 0 0 0\n"), "render", ("'chair'", "Small/chair_train", "no faces")),
    "not a number": (library(chair_train="v nan 0 0\n" + BOX), "render", ("'chair'", "not a finite number")),
    "a billion faces": (library(chair_train=MANY_FACES), "render", ("'chair'", "claims", "face corners")),
    "index of a billion": (
        library(chair_train=BOX + "f 1 2 999999999\n"),
        "render",
        ("'chair'", "not there"),
    ),
    "index beyond 64 bits": (
        library(chair_train=BOX + f"f 1 2 {10**30}\n"),
        "render",
        ("'chair'", "Small/chair"),
    ),
    "flat to a point": (library(chair_train="v 0 0 0\n" * 3 + "f 1 2 3\n"), "render", ("'chair'", "size")),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged(case: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    met(DAMAGED[case], capsys)


def test_a_texture_that_cannot_be_read_is_noted_and_the_model_keeps_its_colour(run: Path) -> None:
    """One that is missing, and one that is no image: the pictures are those of the models without them."""
    plain = (IMAGES / "images.npy").read_bytes()
    library(chair_train_mtl="map_Kd gone.png\n", bed_test_mtl="map_Kd box.mtl\n")()
    shutil.rmtree(IMAGES)
    run_stage("render")
    notes = json.loads((IMAGES / "rendering.json").read_text())["notes"]
    assert len(notes) == 2
    for note, words in zip(notes, (("bed_test", "'box.mtl'"), ("chair_train", "'gone.png'")), strict=True):
        assert all(word in note for word in (*words, "texture", "is left out"))
    assert (IMAGES / "images.npy").read_bytes() == plain
