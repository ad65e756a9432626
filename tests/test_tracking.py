"""The MLflow store is a view: idempotent, replaced when results change, equal when rebuilt."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from robustness.tracking import TrackedImages, TrackedModel, metric_name, track

pytest.importorskip("mlflow")


def model(name: str, accuracy: float, picture: Path) -> TrackedModel:
    scores = pd.DataFrame(
        {
            "metric": ["clean/accuracy", "pose/drop", "pose/azimuth/90/accuracy"],
            "value": [accuracy, 0.2, 0.5],
            "low": [accuracy - 0.1, None, 0.4],
            "high": [accuracy + 0.1, None, 0.6],
        }
    )
    history = pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0]})
    checkpoint = picture.with_name("checkpoint")
    checkpoint.mkdir(exist_ok=True)
    (checkpoint / "weights.safetensors").write_bytes(b"weights")
    return TrackedModel(
        name,
        {"architecture": "alexnet", "width": 0.5},
        scores,
        history,
        TrackedImages("digits", "0123abcd" * 8, picture.parent),
        checkpoint,
        {"figures": picture},
        {"git_commit": "abc"},
    )


def contents(store: Path) -> dict[str, tuple]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{store}")
    experiment = client.get_experiment_by_name("robustness")
    return {
        run.info.run_name: (
            run.data.params,
            run.data.metrics,
            {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")},
            [item.path for item in client.list_artifacts(run.info.run_id, "figures")],
            [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "train/loss")],
            [(shown.dataset.name, shown.dataset.digest) for shown in run.inputs.dataset_inputs],
            [client.get_logged_model(made.model_id).status for made in run.outputs.model_outputs],
        )
        for run in client.search_runs([experiment.experiment_id])
    }


def test_track_skips_replaces_deletes_and_rebuilds(tmp_path: Path) -> None:
    picture = tmp_path / "filters.png"
    picture.write_bytes(b"picture")
    place = {"artifacts": tmp_path / "artifacts", "experiment": "robustness", "description": "questions"}
    store = tmp_path / "mlflow.db"
    a, b = model("a", 0.8, picture), model("b", 0.6, picture)
    assert track([a, b], store=store, **place) == {"a": "new", "b": "new"}
    first = contents(store)
    assert first["a"][1]["clean/accuracy"] == 0.8
    assert first["a"][1]["clean/accuracy.low"] == pytest.approx(0.7)
    assert first["a"][1]["pose/drop"] == 0.2
    assert "pose/drop.low" not in first["a"][1]
    assert not [key for key in first["a"][1] if key.startswith("pose/azimuth")], "one column a condition"
    assert first["a"][3] == ["figures/filters.png"]
    assert sorted(first["a"][4]) == [(1, 2.0), (2, 1.0)]
    assert first["a"][5] == [("digits", ("0123abcd" * 8)[:36])]
    assert first["a"][6] == ["READY"]

    assert track([a, b], store=store, **place) == {"a": "unchanged", "b": "unchanged"}
    assert contents(store) == first

    assert track([model("a", 0.9, picture)], store=store, **place) == {"a": "replaced", "b": "deleted"}
    changed = contents(store)
    assert set(changed) == {"a"}
    assert changed["a"][1]["clean/accuracy"] == 0.9

    track([a, b], store=tmp_path / "again.db", **place)
    assert contents(tmp_path / "again.db") == first


def test_every_score_and_the_weights_are_in_the_run(tmp_path: Path) -> None:
    import mlflow
    from mlflow import MlflowClient

    picture = tmp_path / "filters.png"
    picture.write_bytes(b"picture")
    store = tmp_path / "mlflow.db"
    place = {"artifacts": tmp_path / "artifacts", "experiment": "robustness", "description": "questions"}
    track([model("a", 0.8, picture)], store=store, **place)
    client = MlflowClient(f"sqlite:///{store}")
    experiment = client.get_experiment_by_name("robustness").experiment_id
    (run,) = client.search_runs([experiment])
    table = json.loads(Path(client.download_artifacts(run.info.run_id, "scores.json")).read_text())
    assert table["columns"] == ["metric", "value", "low", "high"]
    assert ["pose/azimuth/90/accuracy", 0.5, 0.4, 0.6] in table["data"]
    (logged,) = client.search_logged_models([experiment])
    mlflow.set_tracking_uri(f"sqlite:///{store}")
    found = Path(mlflow.artifacts.download_artifacts(f"models:/{logged.model_id}", dst_path=tmp_path / "got"))
    assert (found / "weights.safetensors").read_bytes() == b"weights"

    track([model("a", 0.9, picture)], store=store, **place)
    assert len(client.search_logged_models([experiment])) == 1, "a replaced run takes its model with it"


def test_changed_picture_changes_the_digest(tmp_path: Path) -> None:
    picture = tmp_path / "filters.png"
    picture.write_bytes(b"one")
    before = model("a", 0.8, picture).digest()
    assert model("a", 0.8, picture).digest() == before
    picture.write_bytes(b"two")
    assert model("a", 0.8, picture).digest() != before


@pytest.mark.parametrize(("name", "allowed"), [("attack/eps_0.5", "attack/eps_0.5"), ("a(b)%", "a_b__")])
def test_metric_names_hold_only_what_mlflow_allows(name: str, allowed: str) -> None:
    assert metric_name(name) == allowed


def test_what_killed_runs_left_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between writing a model's new run and deleting its old one, or in the midst of writing."""
    from mlflow import MlflowClient

    picture = tmp_path / "filters.png"
    picture.write_bytes(b"picture")
    place = {"artifacts": tmp_path / "artifacts", "experiment": "robustness", "description": "questions"}
    store = tmp_path / "mlflow.db"
    track([model("a", 0.8, picture)], store=store, **place)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for step, accuracy in (
        ("delete_run", 0.7),
        ("log_artifact", 0.6),
        ("log_outputs", 0.55),
        ("set_terminated", 0.5),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, step, killed)
            with pytest.raises(KeyboardInterrupt):
                track([model("a", accuracy, picture)], store=store, **place)
    assert track([model("a", 0.5, picture)], store=store, **place) == {"a": "replaced"}
    client = MlflowClient(f"sqlite:///{store}")
    experiment = client.get_experiment_by_name("robustness")
    (left,) = client.search_runs([experiment.experiment_id])
    assert left.data.metrics["clean/accuracy"] == 0.5
    assert left.info.status == "FINISHED"
    assert not list(tmp_path.glob(".mlflow*"))
