"""Where a run's files lie."""

from __future__ import annotations

from pathlib import Path

# The checkout: code, class list, templates. A run's own files lie in the folder that the stage runs in.
SOURCE = Path(__file__).resolve().parents[1]
CLASS_LIST = SOURCE / "data" / "classes.csv"
DOWNLOADS = SOURCE / ".cache"

PARAMS = Path("params.yaml")
DVC_LOCK = Path("dvc.lock")
LIBRARY = Path("data/library")
IMAGES = Path("data/images")
MODELS = Path("data/models")
RESULTS = Path("data/results")
RESULTS_OF = {
    "predictions": Path("predictions.parquet"),
    "unknown": Path("unknown.parquet"),
    "attacks": Path("attack/attacks.parquet"),
    "checks": Path("attack/checks.parquet"),
    "noise": Path("attack/noise.parquet"),
    "eot": Path("attack/eot.parquet"),
    "gradients": Path("attack/gradients.parquet"),
    "probes": Path("probe/probes.parquet"),
}
TRANSFER = Path("data/transfer.parquet")
TRANSFER_CHECKS = Path("data/transfer_checks.parquet")
LEARNING_CURVE = Path("data/learning_curve.parquet")
TABLES = Path("data/tables")
COMPUTED = ("scores", "models", "histories", "comparisons", "effects", "transfer", "learning_curve")
COLLATED = (*COMPUTED, *(table for table in RESULTS_OF if table not in ("unknown", "gradients")))
"""What the report reads; of the others it reads the scores."""
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
