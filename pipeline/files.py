"""Where a run's files lie, and writing them whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from safetensors import SafetensorError

from robustness.errors import UserError

# The checkout: code, class list, templates. A run's own files lie in the folder that the stage runs in.
SOURCE = Path(__file__).resolve().parents[1]
CLASS_LIST = SOURCE / "data" / "classes.csv"
DOWNLOADS = SOURCE / ".cache"

PARAMS = Path("params.yaml")
LIBRARY = Path("data/library")
IMAGES = Path("data/images")
MODELS = Path("data/models")
RESULTS = Path("data/results")
RESULTS_OF = {
    "predictions": Path("predictions.parquet"),
    "attacks": Path("attack/attacks.parquet"),
    "checks": Path("attack/checks.parquet"),
    "noise": Path("attack/noise.parquet"),
    "eot": Path("attack/eot.parquet"),
    "probes": Path("probe/probes.parquet"),
}
TRANSFER = Path("data/transfer.parquet")
LEARNING_CURVE = Path("data/learning_curve.parquet")
TABLES = Path("data/tables")
COLLATED = ("scores", "models", "histories", "comparisons", "transfer", "learning_curve", *RESULTS_OF)
REPORTS = Path("reports")
MLFLOW_STORE = Path("mlflow.db")
MLFLOW_ARTIFACTS = Path("mlartifacts")
TRACKED = Path("data/tracked.json")
# Unfinished work that a later run takes up; no output of DVC, so DVC does not clear it.
WORK = Path("data/work")


def given(path: str | None) -> Path | None:
    """A path of the settings: ``~`` is the home folder, a relative one counts from the checkout."""
    return SOURCE / Path(path).expanduser() if path else None


def weights(model: str) -> Path:
    """The checkpoint of a model."""
    return MODELS / model / "weights.safetensors"


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name to write a file or a folder to; it takes its real name only when all went well."""
    temporary, old = (path.with_name(f".{path.name}.{word}") for word in ("partial", "old"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)
        _remove(old)
        yield temporary
        if temporary.is_dir() and path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:  # safetensors has an exception of its own for a full disk
        raise UserError(
            f"{path}: cannot be written ({getattr(error, 'strerror', None) or error}); free space or rights"
        ) from error
    finally:
        # What refuses to be written may refuse to be removed; the line about it must not be lost.
        with suppress(OSError):
            if old.exists() and not path.exists():
                os.replace(old, path)
            _remove(old)
            _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """A table as Parquet, whole or not at all; equal tables give equal bytes."""
    with whole(path) as temporary:
        table.reset_index(drop=True).to_parquet(temporary, index=False, compression="zstd")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Read a file of an earlier stage; one line if it is missing, damaged or lacks something."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; run the stage that writes it (dvc repro)")
    try:
        yield
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error}); remove it and run dvc repro") from error


def read_table(path: Path) -> pd.DataFrame:
    """A Parquet table of an earlier stage."""
    with _reading(path):
        return pd.read_parquet(path)


def read_arrays(path: Path, names: Iterable[str]) -> list[np.ndarray]:
    """Arrays of an npz file of an earlier stage."""
    with _reading(path), np.load(path, allow_pickle=False) as arrays:
        return [arrays[name] for name in names]


def read_results(models: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The tables of all models joined, one model after the other, and the histories of their training."""
    parts = {
        table: [read_table(RESULTS / name / place) for name in models] for table, place in RESULTS_OF.items()
    }
    histories = [read_table(MODELS / name / "history.parquet").assign(model=name) for name in models]
    joined = (parts | {"histories": histories}).items()
    return {table: pd.concat([part for part in every if len(part)] or every) for table, every in joined}


def write_text(text: str, path: Path) -> None:
    """A text file, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(value: Any, path: Path) -> None:
    """A JSON file with sorted keys, whole or not at all."""
    write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n", path)


def surroundings() -> dict[str, str]:
    """What a result belongs to: the commit of the code, and the hash of dvc.lock if there is one."""
    found = {"git_commit": _git("rev-parse", "HEAD") or "unknown"}
    if _git("status", "--porcelain", "--untracked-files=no", "--", "robustness", "pipeline"):
        found["git_commit"] += " with changes"
    lock = Path("dvc.lock")
    if lock.is_file():
        found["dvc_lock"] = hashlib.sha256(lock.read_bytes()).hexdigest()
    return found


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=SOURCE, capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
