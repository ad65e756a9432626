"""smallNORB (LeCun, Huang, Bottou 2004): toys under known views; held-out views are the shift."""

from __future__ import annotations

import gzip
import math
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from robustness.data.on_disk.listing import Joined, Listing, need_folder
from robustness.data.on_disk.registry import register
from robustness.errors import UserError
from robustness.seeds import numpy_generator

CLASSES = ("animal", "human", "airplane", "truck", "car")
TYPES = {0x1E3D4C51: "<f4", 0x1E3D4C53: "<f8", 0x1E3D4C54: "<i4", 0x1E3D4C55: "u1", 0x1E3D4C56: "<i2"}
PACKED = 0x1E3D4C52
STEMS = {"train": "smallnorb-5x46789x9x18x6x2x96x96-training",
         "test": "smallnorb-5x01235x9x18x6x2x96x96-testing"}  # fmt: skip
FAMILIAR_AZIMUTHS = (300, 320, 340, 0, 20, 40)
FAMILIAR_ELEVATIONS = (30, 35, 40)
PROTOCOLS = ("azimuth", "elevation")
HELD_OUT = 0.1


@register("smallnorb", trains=True)
def listing(path: Path, policy: str = "azimuth", seed: int = 0, **options: object) -> Listing:
    """Left images: trained on familiar views of the training toys, tested on other toys from all views.

    ``policy`` says which angle is held out, ``azimuth`` or ``elevation``; test views that are familiar are
    the clean ones. A tenth of the training images, drawn by ``seed``, is for validation.
    """
    root = need_folder(path, "it has the six files smallnorb-5x….mat, .gz or not")
    if policy not in PROTOCOLS:
        raise UserError(f"data.policy: {policy!r} is none of {', '.join(PROTOCOLS)}")
    arrays, parts, offset = [], [], 0
    for split, stem in STEMS.items():
        pixels = read_matrix(_find(root, f"{stem}-dat.mat"))
        kinds = read_matrix(_find(root, f"{stem}-cat.mat"))
        info = read_matrix(_find(root, f"{stem}-info.mat"))
        if not (pixels.ndim == 4 and pixels.shape[1] == 2 and len(pixels) == len(kinds) == len(info)):
            shapes = f"images {pixels.shape}, kinds {kinds.shape} and info {info.shape}"
            raise UserError(f"data.path: {stem}: {shapes} do not belong together")
        _check(stem, pixels, kinds, info)
        part = _rows(split, kinds, info, policy, seed)
        parts.append(part.assign(row=part["row"] + offset))
        arrays.append(pixels)
        offset += len(pixels)
    return Listing(
        classes=list(CLASSES),
        samples=pd.concat(parts, ignore_index=True),
        policy=f"Held-out {policy}: familiar views of unseen toys are clean, the others the shift.",
        licence="smallNORB: for research; cite LeCun, Huang, Bottou, CVPR 2004.",
        fit="squash",
        array=Joined(arrays, 3, lambda pair: pair[0]),  # the left image
    )


def _check(stem: str, pixels: np.ndarray, kinds: np.ndarray, info: np.ndarray) -> None:
    """Refuse files of the right lengths that cannot be smallNORB's."""
    if kinds.ndim != 1 or info.ndim != 2 or info.shape[1] < 4 or pixels.dtype != np.uint8:
        wrong = f"images {pixels.shape} of {pixels.dtype}, kinds {kinds.shape} and info {info.shape}"
        raise UserError(f"data.path: {stem}: {wrong} are not smallNORB's; bring its files again")
    if kinds.dtype.kind == "f" or info.dtype.kind == "f":
        raise UserError(f"data.path: {stem}: kinds or info are no whole numbers; bring its files again")
    for what, values, largest in (
        ("kind", kinds, 4),
        ("elevation", info[:, 1], 8),
        ("azimuth", info[:, 2], 34),
    ):
        if values.min() < 0 or values.max() > largest:
            wrong = int(values.min() if values.min() < 0 else values.max())
            raise UserError(
                f"data.path: {stem}: {what} {wrong} lies outside 0 to {largest}; bring its files again"
            )


def _rows(split: str, kinds: np.ndarray, info: np.ndarray, policy: str, seed: int) -> pd.DataFrame:
    azimuth, elevation = info[:, 2].astype(int) * 10, 30 + 5 * info[:, 1].astype(int)
    angle, familiar = (
        (azimuth, np.isin(azimuth, FAMILIAR_AZIMUTHS))
        if policy == "azimuth"
        else (elevation, np.isin(elevation, FAMILIAR_ELEVATIONS))
    )
    chosen = np.flatnonzero(familiar) if split == "train" else np.arange(len(kinds))
    clean = familiar[chosen]
    splits = np.full(len(chosen), split, dtype=object)
    if split == "train":
        generator = numpy_generator(seed, "smallnorb validation")
        splits[generator.permutation(len(chosen))[: round(HELD_OUT * len(chosen))]] = "validation"
    return pd.DataFrame(
        {
            "split": splits,
            "role": "canonical" if split == "train" else "test",
            "object": [f"{CLASSES[kinds[row]]}{info[row, 0]}" for row in chosen],
            "label": kinds[chosen].astype(np.int64),
            "shift": np.where(clean, "clean", "pose"),
            "factor": np.where(clean, "none", policy),
            "level": np.where(clean, "0", angle[chosen].astype(str)),
            "row": chosen,
        }
    )


def read_matrix(path: Path) -> np.ndarray:
    """One of smallNORB's files: little-endian int32 magic, number of dimensions, at least three sizes, data.

    An unpacked file is mapped, a packed one (.gz) unpacked to a temporary file first. Raises UserError for a
    wrong magic, for the packed matrices that nobody made, and for a file of the wrong length.
    """
    stream = path.open("rb")
    if path.suffix == ".gz":
        stream = tempfile.TemporaryFile()  # noqa: SIM115 - mapped below, gone with the map
        try:
            with gzip.open(path) as packed:
                shutil.copyfileobj(packed, stream)
        except (OSError, EOFError) as error:
            raise UserError(f"data.path: {path} is damaged ({error}); bring it again") from error
        stream.seek(0)
    head = _integers(stream.read(8))
    if len(head) < 2 or int(head[0]) not in TYPES:
        kind = "a packed matrix" if len(head) and int(head[0]) == PACKED else "no matrix of smallNORB"
        raise UserError(f"data.path: {path} is {kind} (its first four bytes say so)")
    dimensions = int(head[1])
    sizes = _integers(stream.read(4 * max(3, dimensions)))[:dimensions]
    start = 8 + 4 * max(3, dimensions)
    length = stream.seek(0, 2) - start
    kind = np.dtype(TYPES[int(head[0])])
    claimed = math.prod(map(int, sizes)) * kind.itemsize  # of NumPy's numbers the product could overflow
    if not 1 <= dimensions == len(sizes) or (sizes < 1).any() or length != claimed:
        raise UserError(
            f"data.path: {path} has {length} bytes of data where {tuple(sizes)} of {kind} are said"
        )
    return np.memmap(stream, dtype=kind, mode="r", offset=start, shape=tuple(int(size) for size in sizes))


def _integers(content: bytes) -> np.ndarray:
    """The whole little-endian int32 numbers of what was read, which may have ended early."""
    return np.frombuffer(content[: len(content) // 4 * 4], "<i4")


def _find(root: Path, name: str) -> Path:
    for path in (root / name, root / f"{name}.gz"):
        if path.is_file():
            return path
    raise UserError(f"data.path: {root} lacks {name} (or {name}.gz)")
