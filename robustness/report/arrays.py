"""Arrays that a stage left for pictures."""

from __future__ import annotations

import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from robustness.errors import UserError


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """All arrays of an npz file, or None if there is no such file; UserError if it is damaged."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error}); remove it and run dvc repro") from error
