"""What the probes found in each model: its arrays, and the pictures drawn from them."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from robustness.errors import UserError
from robustness.report.probes import draw


def keep_probe(
    probe: str, arrays: Mapping[str, np.ndarray], folder: Path, classes: Sequence[str] = ()
) -> None:
    """Write a probe's arrays to a folder that is there, as ``<probe>.npz``, and its pictures beside them.

    ``classes``: the names of the labels, in order; numbers where none are given.
    """
    np.savez_compressed(folder / f"{probe}.npz", **arrays)
    draw(probe, arrays, folder, classes)


def take_probe_pictures(results: Mapping[str, Path], folder: Path) -> None:
    """Copy the probes' pictures of all models (model → its folder of results) into ``folder/<model>/``."""
    for model, place in results.items():
        for source in (place / "probe").glob("*"):
            if source.suffix in (".png", ".svg"):
                (folder / model).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / model / source.name)


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
