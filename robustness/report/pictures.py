"""What the probes found in each model as pictures, drawn from the arrays that the probe stage left."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from robustness.errors import UserError
from robustness.processor import available_cores
from robustness.report.probes import draw

FEW = 8
"""So many models are drawn in less time than another process takes to start."""


def draw_pictures(results: Mapping[str, Path], folder: Path, classes: Sequence[str] = ()) -> None:
    """Draw the pictures of all models (model → its folder of results) into ``folder/<model>/``.

    ``classes``: the names of the labels, in order; numbers where none are given.
    """
    each = [(place, folder / model, tuple(classes)) for model, place in results.items()]
    processes = min(available_cores(), len(each) // FEW)
    if processes < 2:
        for arguments in each:
            draw_model(*arguments)
        return
    # Not forked: the caller may have threads. The workers of a Pool end with it, also when it is killed.
    with get_context("spawn").Pool(processes) as pool:
        pool.starmap(draw_model, each, chunksize=1)


def draw_model(results: Path, folder: Path, classes: Sequence[str] = ()) -> None:
    """Draw the pictures of one model into ``folder``: of every probe that left arrays."""
    for path in sorted((results / "probe").glob("*.npz")):
        draw(path.stem, read_arrays(path), folder, classes)


def probe_arrays(results: Mapping[str, Path], model: str, probe: str) -> dict[str, np.ndarray]:
    """What a probe left of a model (model → its folder of results); empty if it left nothing."""
    path = results[model] / "probe" / f"{probe}.npz" if model in results else None
    return read_arrays(path) if path is not None and path.is_file() else {}


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file; UserError if it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error}); remove it and run dvc repro") from error
