"""Read a listing once, with workers, into an image set; memory holds a few images at a time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from robustness.data.image_set import ImageSet
from robustness.data.on_disk.decoding import UnreadableError, fitted, read
from robustness.data.on_disk.listing import Listing
from robustness.data.origin import OUTPUTS, READING
from robustness.errors import UserError

_CHUNK = 64
_EXTRA = ("file", "row", "border")


def write(listing: Listing, folder: Path | str, *, image_size: int, workers: int) -> ImageSet:
    """Write the set into ``folder`` and open it.

    Files that cannot be read are left out, counted and named in ``reading.json`` beside the images, with how
    many files were grey, CMYK and so on. Raises UserError if a class, or every image, would be lost by that.
    """
    listed = listing.samples.reset_index(drop=True)
    kinds: Counter[str] = Counter()
    lost: dict[str, str] = {}
    kept: list[int] = []
    with ImageSet.create(folder, len(listed), image_size, listing.classes, masks=False) as writer:
        for number, (pixels, kind) in enumerate(_read(listing, listed, image_size, workers)):
            kinds[kind] += 1
            if pixels is None:
                lost[_name(listed, number)] = kind
            else:
                writer.images[len(kept)] = pixels
                kept.append(number)
        samples = listed.iloc[kept].drop(columns=list(_EXTRA), errors="ignore")
        _check(listed, samples, lost, listing)
        reading = {"files": len(listed), "kinds": dict(sorted(kinds.items())), "left_out": lost,
                   "notes": listing.notes, "policy": listing.policy, "licence": listing.licence}  # fmt: skip
        extra = {READING: json.dumps(reading, indent=1) + "\n"}
        if listing.groups is not None:
            extra[OUTPUTS] = json.dumps(listing.groups) + "\n"
        if not lost:
            return _finish(writer, samples, extra)
        with ImageSet.create(folder, len(kept), image_size, listing.classes, masks=False) as shorter:
            for start in range(0, len(kept), _CHUNK):
                shorter.images[start : start + _CHUNK] = writer.images[start : min(start + _CHUNK, len(kept))]
            return _finish(shorter, samples, extra)


def _finish(writer, samples: pd.DataFrame, extra: dict[str, str]) -> ImageSet:
    for name, text in extra.items():
        writer.add(name, text)
    return writer.finish(samples)


def _name(listed: pd.DataFrame, number: int) -> str:
    return str(listed["file"].iloc[number])


def _check(listed: pd.DataFrame, samples: pd.DataFrame, lost: dict[str, str], listing: Listing) -> None:
    if samples.empty:
        raise UserError(f"data.path: none of {len(listed)} images can be read, the first: {next(iter(lost))}")
    gone = set(listed["label"]) - set(samples["label"])
    if gone:
        label = min(gone)
        first = listed.loc[listed["label"] == label, "file"].iloc[0]
        raise UserError(
            f"data.path: no image of the class {listing.classes[label]!r} can be read "
            f"({first} is {lost[first]}); mend or remove them"
        )


def _read(
    listing: Listing, listed: pd.DataFrame, size: int, workers: int
) -> Iterator[tuple[np.ndarray | None, str]]:
    """(pixels, kind) for each row, in order; pixels are None where the file cannot be used."""
    if listing.array is not None:
        for row in listed["row"]:
            image = Image.fromarray(np.ascontiguousarray(listing.array[row])).convert("RGB")
            yield np.asarray(fitted(image, size, listing.fit)), "rgb" if listing.array.ndim == 4 else "grey"
        return
    one = partial(_one, size=size, fit=listing.fit)
    borders = listed["border"] if "border" in listed else [0] * len(listed)
    files = list(zip(listed["file"], map(int, borders), strict=True))
    if workers == 1 or len(files) < 4 * _CHUNK:
        yield from map(one, files)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        # In blocks: results wait for the writer, and must not pile up.
        step = _CHUNK * workers * 4
        for start in range(0, len(files), step):
            yield from pool.map(one, files[start : start + step], chunksize=_CHUNK // 4)


def _one(file: tuple[str, int], *, size: int, fit: str) -> tuple[np.ndarray | None, str]:
    path, border = file
    try:
        return read(path, size=size, fit=fit, border=border)
    except UnreadableError as error:
        return None, str(error)
