"""What an adapter gives: the images of a set, where they are, and how they are read and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from robustness.errors import UserError
from robustness.seeds import numpy_generator

HELD_OUT = 0.1
"""The share of training images that become validation images where a set names none."""

SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass(frozen=True)
class Listing:
    """A set before it is read.

    ``samples`` has the columns of an image set (``sample`` apart) and ``file`` (a path), or ``array`` holds
    the pixels, uint8 (N, H, W) or (N, H, W, 3), and ``row`` says which. ``groups[k]`` are the ImageNet
    outputs of class k; None: classes of the set's own. ``fit``: ``crop`` (shorter side to 8/7 of
    the size, centre crop), ``squash`` (to the size, whatever the shape) or ``centre`` (centre crop,
    then to the size). A column ``border`` of ``samples`` says how many pixels per side are cut off first.
    ``policy`` and ``licence`` are sentences for the report.
    """

    classes: list[str]
    samples: pd.DataFrame
    policy: str
    licence: str
    groups: list[list[int]] | None = None
    fit: str = "crop"
    array: Joined | None = None
    notes: list[str] = field(default_factory=list)


class Joined:
    """Row i of ``arrays`` laid end to end, each row shown as ``image`` makes it.

    ``ndim`` is that of the whole: the dimensions of an image and one more. Raises IndexError past the end.
    """

    def __init__(
        self, arrays: Sequence[np.ndarray], ndim: int, image: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        self.arrays, self.ndim, self.image = arrays, ndim, image

    def __getitem__(self, row: int) -> np.ndarray:
        for array in self.arrays:
            if row < len(array):
                return self.image(array[row])
            row -= len(array)
        raise IndexError(row)


def need_folder(path: Path, what: str) -> Path:
    """The folder; UserError that says what it should contain if it does not exist."""
    if not path.is_dir():
        raise UserError(f"data.path: {path} is no folder; {what}")
    return path


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder by name (any case of the suffix), hidden ones left out."""
    return sorted(
        path for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )  # fmt: skip


def folders_in(folder: Path) -> list[Path]:
    """The sub-folders by name, hidden ones left out."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def rows(
    files: list[Path],
    label: int,
    root: Path,
    condition: tuple[str, str, str] = ("clean", "none", "0"),
    *,
    split: str = "test",
    role: str = "test",
    named: bool = True,
) -> Iterator[dict[str, object]]:
    """One row per file. The object is the path below ``root``, or class folder and name if not ``named``."""
    shift, factor, level = condition
    for file in files:
        name = str(file.relative_to(root)) if named else f"{file.parent.name}/{file.stem}"
        yield {"split": split, "role": role, "object": name, "label": label, "shift": shift,
               "factor": factor, "level": level, "file": str(file)}  # fmt: skip


def table(found: list[dict[str, object]], place: Path, what: str) -> pd.DataFrame:
    """The table of rows; UserError that says what was looked for if there are none."""
    if not found:
        raise UserError(f"data.path: {place} holds no images; {what}")
    return pd.DataFrame(found)


def hold_out(samples: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The table with a share HELD_OUT of its training images, drawn by ``seed``, in the split validation."""
    training = np.flatnonzero((samples["split"] == "train").to_numpy())
    drawn = numpy_generator(seed, "validation images").permutation(training)[
        : round(HELD_OUT * len(training))
    ]
    splits = samples["split"].to_numpy(object, copy=True)
    splits[drawn] = "validation"
    return samples.assign(split=splits)
