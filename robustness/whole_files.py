"""Files and folders that appear whole or not at all, and the tables, arrays and texts that lie in them."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from safetensors import SafetensorError

from robustness.errors import UserError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` for a file or a folder; at the end of the block it becomes ``path``.

    Until then an older ``path`` stays as it is, and also if the block raises or writes nothing. Several
    processes may write the same file: the last one to end wins. What killed processes of this machine left
    is removed. Raises UserError that names ``path`` if the disk refuses.
    """
    new = _temporary(path)
    old = new.with_name(f"{new.name}.old")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_overs(path)
        yield new
        if new.is_dir() and path.exists():
            os.replace(path, old)
        if new.exists():
            os.replace(new, path)
    except (OSError, SafetensorError) as error:  # safetensors has an exception of its own for a full disk
        raise UserError(
            f"{path}: cannot be written ({getattr(error, 'strerror', None) or error}); free space or rights"
        ) from error
    finally:
        # What refuses to be written may refuse to be removed; the line about it must not be lost.
        with suppress(OSError):
            if old.exists() and not path.exists():
                os.replace(old, path)
            for left in path.parent.glob(f"{escape(new.name)}*"):
                _remove(left)


def _temporary(path: Path) -> Path:
    """A hidden, unique name that contains the machine and the process id."""
    return path.with_name(f"{_prefix(path)}{os.getpid()}-{uuid.uuid4().hex[:8]}")


def _prefix(path: Path) -> str:
    machine = re.sub(r"[^\w.]", "_", socket.gethostname())  # process ids mean nothing on another machine
    return f".{path.name}-{machine}-"


def _remove_left_overs(path: Path) -> None:
    """Remove temporary files of ``path`` (and what libraries put beside them) whose process has ended."""
    for left in path.parent.glob(f"{escape(_prefix(path))}*"):
        found = re.match(r"(\d+)-[0-9a-f]{8}", left.name.removeprefix(_prefix(path)))
        if found and not _alive(int(found[1])):
            with suppress(OSError):  # another process may be at it
                _remove(left)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet, whole or not at all; equal tables give equal bytes."""
    with whole(path) as temporary:
        table.reset_index(drop=True).to_parquet(temporary, index=False, compression="zstd")


def write_arrays(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write an uncompressed npz file, whole or not at all."""
    with whole(path) as temporary, temporary.open("wb") as file:  # given a path, NumPy appends a suffix
        np.savez(file, **arrays)


def write_text(text: str, path: Path) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(value: Any, path: Path) -> None:
    """Write a JSON file with sorted keys, whole or not at all. Raises ValueError for NaN or infinity."""
    write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n", path)


def read_table(path: Path) -> pd.DataFrame:
    """Read a Parquet table of an earlier stage; UserError if it is missing or damaged."""
    with _reading(path):
        return pd.read_parquet(path)


def read_arrays(path: Path, names: Iterable[str]) -> list[np.ndarray]:
    """Read the named arrays of an npz file of an earlier stage; UserError if one is missing or damaged."""
    with _reading(path), np.load(path, allow_pickle=False) as arrays:
        return [arrays[name] for name in names]


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; run the stage that writes it (dvc repro)")
    try:
        yield
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error}); remove it and run dvc repro") from error
