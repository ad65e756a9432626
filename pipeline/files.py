"""Where a run's files lie."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from robustness.whole_files import read_table

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
    "draws": Path("attack/draws.parquet"),
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


def read_results(models: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The tables of all models joined, one model after the other, and the histories of their training."""
    parts = {
        table: [read_table(RESULTS / name / place) for name in models] for table, place in RESULTS_OF.items()
    }
    histories = [read_table(MODELS / name / "history.parquet").assign(model=name) for name in models]
    joined = (parts | {"histories": histories}).items()
    return {table: pd.concat([part for part in every if len(part)] or every) for table, every in joined}


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
