"""A damaged class list, image set, or table of an earlier stage: refused, and what makes it anew is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from spoiling import Bomb, Case, Spoil, cut, met, remove, write

IMAGES = Path("data/images")
FOUND = "data/results/plain"


def samples(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Spoil:
    def spoil() -> None:
        path = IMAGES / "samples.parquet"
        change(pd.read_parquet(path)).to_parquet(path)

    return spoil


def array(name: str, make: Callable[[], np.ndarray]) -> Spoil:
    return lambda: np.save(IMAGES / name, make(), allow_pickle=True)


def no_images() -> None:
    samples(lambda table: table.iloc[:0])()
    array("images.npy", lambda: np.zeros((0, 32, 32, 3), np.uint8))()
    array("masks.npy", lambda: np.zeros((0, 32, 32), np.uint8))()


def classes(change: Callable[[str], str]) -> Spoil:
    return lambda: Path("classes.csv").write_text(change(Path("classes.csv").read_text())) and None


DAMAGED: dict[str, Case] = {
    # The class list.
    "no class list": (remove("classes.csv"), "render", ("classes.csv", "cannot be read")),
    "class list without a column": (
        classes(lambda t: t.replace("split", "part")),
        "render",
        ("no column 'split'",),
    ),
    "wrong class": (
        classes(lambda t: t.replace(",sofa,", ",sofas,")),
        "render",
        ("line 5", "did you mean sofa"),
    ),
    "class without objects": (
        classes(lambda t: "".join(line + "\n" for line in t.splitlines() if ",bed,test" not in line)),
        "render",
        ("classes.csv", "'bed'", "split 'test'"),
    ),
    "model twice": (classes(lambda t: t + t.splitlines()[1] + "\n"), "render", ("listed twice",)),
    # The image set.
    "no images": (remove(IMAGES), "train", ("data/images", "images.npy is missing", "make the set again")),
    "images cut short": (
        cut(IMAGES / "images.npy"),
        "train",
        ("data/images", "damaged", "make the set again"),
    ),
    "images that are code": (
        array("images.npy", lambda: np.array([Bomb()], dtype=object)),
        "train",
        ("data/images", "damaged"),
    ),
    "table cut short": (cut(IMAGES / "samples.parquet"), "evaluate", ("data/images", "damaged")),
    "classes cut short": (cut(IMAGES / "classes.json"), "train", ("data/images", "damaged")),
    "empty set": (no_images, "train", ("data/images", "holds no images", "make the set again")),
    "label out of range": (samples(lambda t: t.assign(label=t["label"] + 5)), "train", ("label", "0 to 9")),
    "label as text": (samples(lambda t: t.assign(label="chair")), "train", ("label", "whole numbers")),
    "no training images": (
        samples(lambda t: t.assign(split=t["split"].where(t["split"] == "unknown", "test"), role="test")),
        "train",
        ("no canonical training images",),
    ),
    "no clean test images": (
        samples(lambda t: t.assign(shift="pose")),
        "evaluate",
        ("no clean test images", "again"),
    ),
    "masks of another size": (
        array("masks.npy", lambda: np.zeros((1, 2, 2), np.uint8)),
        "evaluate",
        ("masks", "do not fit"),
    ),
    # Tables and arrays of earlier stages.
    "no predictions": (
        remove(f"{FOUND}/predictions.parquet"),
        "collate",
        ("predictions.parquet", "dvc repro"),
    ),
    "table damaged": (cut(f"{FOUND}/attack/attacks.parquet"), "collate", ("attacks.parquet", "dvc repro")),
    "noise table damaged": (
        write("data/results/noisy/attack/noise.parquet", b"PAR1"),
        "collate",
        ("noise.parquet", "dvc repro"),
    ),
    "no adversarial images": (remove(f"{FOUND}/attack/images.npz"), "transfer", ("images.npz", "dvc repro")),
    "adversarial images damaged": (
        cut(f"{FOUND}/attack/images.npz"),
        "transfer",
        ("images.npz", "dvc repro"),
    ),
    "adversarial images of another budget": (
        lambda: np.savez(f"{FOUND}/attack/images.npz", rows=np.arange(4)),
        "transfer",
        ("images.npz", "dvc repro"),
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged(case: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    met(DAMAGED[case], capsys)
