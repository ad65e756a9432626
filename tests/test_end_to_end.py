"""The smoke profile, every stage on real input, as a user runs it; what reruns after a change; bad input."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from robustness.tracking import DIGEST, KEY

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


def call(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished smoke run."""
    runs = tmp_path_factory.mktemp("runs")
    done = call("pipeline.reproduce", "--profile", "smoke", "--runs", str(runs), folder=ROOT)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return runs / "smoke"


def models_of(run: Path) -> list[str]:
    return list(yaml.safe_load((run / "params.yaml").read_text())["models"])


def test_tables_are_there_for_every_model(run: Path) -> None:
    names = models_of(run)
    for table in ("predictions", "attacks", "checks", "probes", "models", "histories", "scores"):
        frame = pd.read_parquet(run / "data" / "tables" / f"{table}.parquet")
        assert list(frame["model"].unique()) == names, table
    scores = pd.read_csv(run / "reports" / "scores.csv").set_index(["model", "metric"])
    metrics = json.loads((run / "reports" / "metrics.json").read_text())
    for name in names:
        row = scores.loc[(name, "clean/accuracy")]
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
        assert len(metrics[name]) <= 16, "metrics.json is to hold the headlines alone"
        for metric, value in metrics[name].items():
            assert value == pytest.approx(scores.loc[(name, metric), "value"], rel=1e-4, abs=1e-5)
        for metric in ("pose/drop", "clutter/drop", "attack/worst_linf/eps_4/robust_accuracy"):
            assert (name, metric) in scores.index


def test_clean_scores_are_the_share_of_right_predictions(run: Path) -> None:
    predictions = pd.read_parquet(run / "data" / "tables" / "predictions.parquet")
    scores = pd.read_csv(run / "reports" / "scores.csv").set_index(["model", "metric"])["value"]
    clean = predictions[predictions["shift"] == "clean"]
    for name, part in clean.groupby("model"):
        share = (part["prediction"] == part["label"]).mean()
        assert scores[(name, "clean/accuracy")] == pytest.approx(share, abs=1e-6)


def test_mlflow_has_one_whole_run_a_model(run: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{run / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name.startswith("robustness")]
    found = client.search_runs([experiment.experiment_id])
    assert sorted(r.data.tags[KEY] for r in found) == sorted(models_of(run))
    assert all(DIGEST in r.data.tags and "clean/accuracy" in r.data.metrics for r in found)


def test_dvc_draws_the_curves(run: Path, tmp_path: Path) -> None:
    done = call("dvc", "plots", "show", "--out", str(tmp_path / "plots"), folder=run)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "plots" / "index.html").read_text()
    for name in models_of(run):
        assert re.search(rf'"model": "{name}", "curve": "attack/worst_linf", "level": "4"', page), name


def test_report_and_cards_are_pdfs(run: Path) -> None:
    places = [run / "reports" / "robustness.pdf"]
    for path in places:
        assert path.read_bytes().startswith(b"%PDF-")


def test_a_second_run_does_nothing(run: Path) -> None:
    done = call("dvc", "repro", folder=run)
    assert done.returncode == 0
    assert "Data and pipelines are up to date." in done.stdout + done.stderr


def would_run(run: Path) -> list[str]:
    # Nothing is written, so what would change downstream has to be taken as changed.
    done = call("dvc", "repro", "--dry", "--force-downstream", folder=run)
    assert done.returncode == 0, done.stderr
    return [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")]


def change(run: Path, edit: Callable[[dict], None]) -> str:
    """Edit params.yaml of the run; returns its text before."""
    path = run / "params.yaml"
    before = path.read_text()
    settings = yaml.safe_load(before)
    edit(settings)
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return before


def test_changing_one_attack_reruns_attacks_and_what_reads_them(run: Path) -> None:
    before = change(run, lambda settings: settings["attack"].update(images=settings["attack"]["images"] + 1))
    try:
        names = models_of(run)
        assert set(would_run(run)) == {
            *(f"attack@{n}" for n in names),
            "transfer",
            "collate",
            "track",
            "report",
        }
    finally:
        (run / "params.yaml").write_text(before)


def test_changing_one_model_reruns_that_model_alone(run: Path) -> None:
    names = models_of(run)
    before = change(run, lambda settings: settings["models"][names[0]].update(recipe={"epochs": 1}))
    try:
        jobs = [stage for stage in would_run(run) if "@" in stage]
        assert {job.split("@")[1] for job in jobs} == {names[0]}
    finally:
        (run / "params.yaml").write_text(before)


def refused(run: Path, module: str, *arguments: str) -> str:
    """Run a stage that must refuse: status 2, one line on stderr; returns that line."""
    done = call(module, *arguments, folder=run)
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def snapshot(run: Path) -> dict[str, int]:
    return {str(p.relative_to(run)): p.stat().st_mtime_ns for p in (run / "data").rglob("*") if p.is_file()}


def test_bad_input_is_one_line_and_nothing_is_written(run: Path, tmp_path: Path) -> None:
    before = snapshot(run)
    name = models_of(run)[0]
    assert "did you mean" in refused(run, "pipeline.train", "--model", f"{name}x")

    kept = change(run, lambda settings: settings["evaluation"].update(batch_size=0))
    try:
        assert "evaluation.batch_size" in refused(run, "pipeline.evaluate", "--model", name)
    finally:
        (run / "params.yaml").write_text(kept)

    library = tmp_path / "library"
    library.mkdir()
    kept = change(run, lambda settings: settings["data"].update(library=str(library)))
    try:
        moved = run / "data" / "library"
        moved.rename(tmp_path / "moved")
        assert "three ways" in refused(run, "pipeline.fetch_objects")
        assert not moved.exists()
        (tmp_path / "moved").rename(moved)
    finally:
        (run / "params.yaml").write_text(kept)

    damaged = sorted((run / "data" / "library").glob("*.sh3f"))[0]
    content = damaged.read_bytes()
    try:
        damaged.unlink()
        damaged.write_bytes(content[: len(content) // 2])
        assert damaged.name in refused(run, "pipeline.render")
    finally:
        damaged.unlink()
        damaged.write_bytes(content)
        os.utime(damaged, ns=(0, before[str(damaged.relative_to(run))]))
    assert snapshot(run) == before
