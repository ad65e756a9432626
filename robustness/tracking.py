"""MLflow as a view of the result tables: one run per model, rebuilt from the tables at any time.

A run has the scores of whole shifts and of all attacks as metrics, every score as a table, the images that it
was measured on as an input, and the model (weights as safetensors, nothing pickled) as its output. It carries
its key and a hash of what it shows as tags. Equal results are skipped; changed ones replace the run; runs of
models that are no longer there are deleted. So a rebuilt store equals the old one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from robustness.whole_files import whole

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

KEY, DIGEST = "robustness.key", "robustness.digest"

QUESTIONS = """Which image classifier holds up when the viewpoint changes, when the background is cluttered,
when someone attacks it; does a fixed V1-like front-end help; and do pictures of what the network learned tell
us why?

1. How well does each architecture do on clean images?
2. How much does it lose to viewpoint, and to clutter?
3. How does it stand up to adversarial attack, and can that number be trusted?
4. What does a fixed V1 front-end change, and which part of it does the work?
5. What did the layers learn: first, last, intermediate?
6. Do the visualizations predict the robustness?
7. Is it the data or the architecture?
"""
"""What an experiment says of itself."""


@dataclass(frozen=True)
class TrackedImages:
    """The image set that models were measured on: its name, the SHA-256 of its pixels, its folder."""

    name: str
    digest: str
    folder: Path


@dataclass(frozen=True)
class TrackedModel:
    """What one run shows: axes as params, scores, curves over epochs, figures, images, the model, tags.

    ``scores`` has the columns metric, value, low, high, of which :func:`headline` ones become metrics, the
    interval's ends as ``<metric>.low`` and ``<metric>.high``. ``history`` has the column epoch and any number
    of curves. ``files``: folder of the run → a file to put there; ``checkpoint``: the folder of the model's
    own files.
    """

    name: str
    params: Mapping[str, Any]
    scores: pd.DataFrame
    history: pd.DataFrame
    images: TrackedImages
    checkpoint: Path
    files: Mapping[str, Path] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """A hash of everything that the run shows; tags (the commit) left out."""
        parts = hashlib.sha256(json.dumps(dict(self.params), sort_keys=True, default=str).encode())
        for table in (self.scores, self.history):
            parts.update(table.to_csv(index=False).encode())
        parts.update(self.images.digest.encode())
        own = {path.name: path for path in sorted(self.checkpoint.iterdir())}
        for place, path in sorted((self.files | own).items()):
            parts.update(place.encode())
            parts.update(hashlib.sha256(path.read_bytes()).digest())
        return parts.hexdigest()


def track(
    models: Iterable[TrackedModel],
    *,
    store: Path,
    artifacts: Path,
    experiment: str,
    description: str,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, str]:
    """Make the MLflow store in the SQLite file ``store`` show exactly these models.

    Returns what happened, model → ``new``, ``replaced``, ``unchanged`` or ``deleted``.
    """
    client = _client(store)
    experiment_id = _experiment(client, experiment, description, artifacts)
    # A model has several runs where its replacement was interrupted.
    old: dict[str | None, list[Run]] = {}
    for run in _runs(client, experiment_id):
        old.setdefault(run.data.tags.get(KEY), []).append(run)
    outcome = {}
    for model in models:
        digest = model.digest()
        before = old.pop(model.name, [])
        equal = [run for run in before if run.data.tags.get(DIGEST) == digest]
        if equal:
            before.remove(equal[0])
            outcome[model.name] = "unchanged"
        else:
            _log(client, experiment_id, model, digest)
            outcome[model.name] = "replaced" if before else "new"
            say(f"{model.name}: {outcome[model.name]}")
        for run in before:
            _delete(client, experiment_id, run)
    for name, runs in old.items():
        for run in runs:
            _delete(client, experiment_id, run)
        outcome[str(name)] = "deleted"
        say(f"{name}: deleted")
    return outcome


def headline(metric: str) -> bool:
    """Whether a score is of a whole shift or of all attacks of a norm: what models are compared by in a
    table of runs. Levels and factors one by one are in the run's ``scores.json``."""
    return metric.count("/") == 1 or metric.startswith("attack/worst_")


def metric_name(metric: str) -> str:
    """A metric's name with only what MLflow allows in it: letters, digits, ``_ - . : / space``."""
    return re.sub(r"[^\w\-.:/ ]", "_", metric)


def _client(store: Path) -> MlflowClient:
    """A client of the SQLite file ``store``, which is created if it does not exist.

    It is created under a temporary name: a store whose creation was interrupted cannot be opened again.
    """
    from mlflow import MlflowClient

    if not store.exists():
        with whole(store) as temporary:
            MlflowClient(f"sqlite:///{temporary.resolve()}").search_experiments(max_results=1)
    return MlflowClient(f"sqlite:///{store.resolve()}")


def _experiment(client: MlflowClient, name: str, description: str, artifacts: Path) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        experiment_id = client.create_experiment(name, artifact_location=artifacts.resolve().as_uri())
    else:
        experiment_id = found.experiment_id
    client.set_experiment_tag(experiment_id, "mlflow.note.content", description)
    return experiment_id


def _runs(client: MlflowClient, experiment_id: str) -> list[Run]:
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment_id], page_token=token, max_results=1000)
        runs += page
        token = page.token
        if not token:
            return runs


def _log(client: MlflowClient, experiment_id: str, model: TrackedModel, digest: str) -> None:
    """Write one run. Its digest is set last: an interrupted run never counts as complete."""
    from mlflow.entities import Param, RunTag

    run = client.create_run(experiment_id, run_name=model.name, tags={KEY: model.name})
    run_id = run.info.run_id
    params = [Param(key, str(value)[:6000]) for key, value in sorted(model.params.items())]
    for start in range(0, len(params), 100):
        client.log_batch(run_id, params=params[start : start + 100])
    metrics = list(_metrics(model))
    for start in range(0, len(metrics), 1000):
        client.log_batch(run_id, metrics=metrics[start : start + 1000])
    client.log_table(run_id, model.scores, "scores.json")
    for place, path in sorted(model.files.items()):
        client.log_artifact(run_id, str(path), place)
    _log_input_and_output(client, experiment_id, model, run_id)
    tags = [RunTag(key, str(value)) for key, value in sorted(model.tags.items())]
    client.set_terminated(run_id)
    client.log_batch(run_id, tags=[*tags, RunTag(DIGEST, digest)])


def _log_input_and_output(client: MlflowClient, experiment_id: str, model: TrackedModel, run_id: str) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput

    images = model.images
    source = json.dumps({"uri": images.folder.resolve().as_uri()})
    # MLflow keeps 36 characters of a digest.
    shown = Dataset(images.name, images.digest[:36], source_type="local", source=source)
    client.log_inputs(run_id, [DatasetInput(shown, [InputTag("mlflow.data.context", "evaluation")])])
    logged = client.create_logged_model(
        experiment_id, name=model.name, source_run_id=run_id, model_type="image classifier"
    )
    client.log_model_artifacts(logged.model_id, str(model.checkpoint))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])


def _delete(client: MlflowClient, experiment_id: str, run: Run) -> None:
    """Delete a run, and before it its model: a run that is left is seen by the next call."""
    source = f"source_run_id = '{run.info.run_id}'"
    for logged in client.search_logged_models([experiment_id], filter_string=source):
        client.delete_logged_model(logged.model_id)
    client.delete_run(run.info.run_id)


def _metrics(model: TrackedModel) -> Iterable[Metric]:
    from mlflow.entities import Metric

    shown = model.scores[model.scores["metric"].map(headline)]
    for row in shown.itertuples(index=False):
        ends = (("", row.value), (".low", row.low), (".high", row.high))
        yield from (Metric(metric_name(row.metric) + end, float(value), 0, 0)
                    for end, value in ends if pd.notna(value))  # fmt: skip
    for row in model.history.to_dict("records"):
        yield from (Metric(f"train/{key}", float(value), 0, int(row["epoch"]))
                    for key, value in row.items() if key != "epoch" and pd.notna(value))  # fmt: skip
