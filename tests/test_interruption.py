"""Killed at any moment, a stage run again ends with the outputs of an uninterrupted run.

A moment is a step, at which the stage touches the disk: between two steps a kill leaves the same files.
"""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage_launcher import Launcher
from tiny_run import ALL, PARAMS, run_stage, write_class_list, write_library, write_params

from pipeline import files
from robustness.data.image_set import ImageSet
from robustness.tracking import DIGEST

KILLS = 2
MODEL = "plain"
LONGER = PARAMS | {
    "training": PARAMS["training"] | {"epochs": 4},
    "attack": PARAMS["attack"]
    | {
        "norms": {
            "linf": {"epsilons": [1, 2, 4, 8], "suite": [{"pgd": {"steps": 2}, "square": {"steps": 2}}]}
        }
    },
    "models": {MODEL: PARAMS["models"][MODEL]},
}
OUTPUTS: dict[str, tuple[Path, ...]] = {
    "fetch_objects": (files.LIBRARY,),
    "render": (files.IMAGES,),
    "train": (files.MODELS / MODEL,),
    "evaluate": (files.RESULTS / MODEL / "predictions.parquet",),
    "attack": (files.RESULTS / MODEL / "attack",),
    "probe": (files.RESULTS / MODEL / "probe",),
    "transfer": (files.TRANSFER, files.TRANSFER_CHECKS),
    "learning_curve": (files.LEARNING_CURVE,),
    "collate": (
        files.TABLES,
        *(files.REPORTS / name for name in ("scores.csv", "summary.csv", "curves.csv", "metrics.json")),
    ),
    "report": tuple(
        files.REPORTS / name
        for name in ("robustness.pdf", "robustness.html", "overview.svg", "cards", "figures")
    ),
    "track": (files.MLFLOW_STORE, files.MLFLOW_ARTIFACTS, files.TRACKED),
}


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    with Launcher(tmp_path_factory.mktemp("temporary")) as launcher:
        yield launcher


@pytest.fixture(scope="module")
def whole_run(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """A run that nothing interrupted; the steps that each stage took."""
    folder = tmp_path_factory.mktemp("whole")
    write_params(folder, LONGER)
    write_library(folder / "installed")
    write_class_list(folder / "classes.csv")
    steps = {}
    for name in ALL:
        ended = launcher.run(name, folder)
        assert ended.status == 0, name
        steps[name] = ended.steps
    return folder, steps


def test_the_table_has_every_stage() -> None:
    assert tuple(OUTPUTS) == ALL


@pytest.mark.slow
@pytest.mark.parametrize("name", OUTPUTS)
def test_killed_at_any_step_it_ends_as_if_it_had_not_been(
    name: str, launcher: Launcher, whole_run: tuple[Path, dict[str, int]], tmp_path: Path
) -> None:
    whole, steps = whole_run
    folder = without_outputs(name, whole, tmp_path)
    # Finished parts are not done again, so that a later attempt has fewer steps.
    moments = sorted({1, *random.Random(name).sample(range(1, steps[name] + 1), KILLS)}, reverse=True)
    killed = 0
    for moment in moments:
        ended = launcher.run(name, folder, kill_at_step=moment)
        assert ended.status in (0, -signal.SIGKILL)
        killed += ended.status != 0
        nothing_half_written(folder, whole)
    assert killed, "no kill met it at work"
    ends_as_whole(name, launcher, folder, whole)


def without_outputs(name: str, whole: Path, tmp_path: Path) -> Path:
    """A copy of the whole run from which the stage's outputs are removed."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    for output in OUTPUTS[name]:
        shutil.rmtree(folder / output) if (folder / output).is_dir() else (folder / output).unlink()
    return folder


def ends_as_whole(name: str, launcher: Launcher, folder: Path, whole: Path) -> None:
    """The next run of the stage gives the whole run's files, and leaves nothing else."""
    assert launcher.run(name, folder).status == 0
    assert named(folder).keys() == named(whole).keys()
    nothing_half_written(folder, whole)
    assert tracked(folder) == tracked(whole)
    hidden = {str(path.relative_to(folder)) for path in folder.rglob(".*")}
    assert hidden == {str(path.relative_to(whole)) for path in whole.rglob(".*")}
    assert not (folder / files.WORK / MODEL / "state.pt").exists()
    if name == "render":
        ImageSet.open(folder / files.IMAGES)


def nothing_half_written(folder: Path, whole: Path) -> None:
    """Whatever stands under its real name is as in the whole run, byte for byte."""
    expected = named(whole)
    for name, path in named(folder).items():
        assert path.read_bytes() == expected[name].read_bytes(), name
    for output in (output for outputs in OUTPUTS.values() for output in outputs):
        if (folder / output).is_dir() and output != files.MLFLOW_ARTIFACTS:  # a folder has all its files
            there, all_of_it = (
                {path.relative_to(place) for path in (place / output).rglob("*")} for place in (folder, whole)
            )
            assert there == all_of_it, output
    runs = tracked(whole)
    for name, run in tracked(folder).items():
        assert run == runs[name]


def named(folder: Path) -> dict[str, Path]:
    """The files under their real names; MLflow's store holds numbers drawn at random, see ``tracked``."""
    found = {}
    for path in folder.rglob("*"):
        place = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in place.parts)
        apart = place.is_relative_to(files.WORK) or place.is_relative_to(files.MLFLOW_ARTIFACTS)
        if path.is_file() and not hidden and not apart and not place.name.startswith(files.MLFLOW_STORE.name):
            found[str(place)] = path
    return found


def tracked(folder: Path) -> dict[str, tuple]:
    """What MLflow shows of each model: a run counts from when its digest is set, which is done last."""
    store = folder / files.MLFLOW_STORE
    if not store.exists():
        return {}
    found = {}
    with sqlite3.connect(store) as base:

        def rows(columns: str, table: str, run: str) -> list[tuple]:
            return sorted(base.execute(f"select {columns} from {table} where run_uuid = ?", (run,)))

        for run, name, status in base.execute(
            "select run_uuid, name, status from runs where lifecycle_stage = 'active'"
        ).fetchall():
            tags = [(key, value) for key, value in rows("key, value", "tags", run) if "mlflow." not in key]
            if DIGEST not in dict(tags):
                continue
            place = folder / files.MLFLOW_ARTIFACTS / run / "artifacts"
            artifacts = {
                str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()
            }
            assert name not in found, "a model has two whole runs"
            metrics = rows("key, value, step", "metrics", run)
            found[name] = (status, tags, rows("key, value", "params", run), metrics, artifacts)
    base.close()
    return found


def test_finished_work_is_not_done_twice(
    whole_run: tuple[Path, dict[str, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after half of the (attack, ε), the next run computes the other half only."""
    from robustness.attacks import FolderCheckpoints

    monkeypatch.chdir(without_outputs("attack", whole_run[0], tmp_path))
    done: list[str] = []
    keep = FolderCheckpoints.__setitem__

    def counted(self: FolderCheckpoints, key: str, arrays: dict) -> None:
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(key)
        keep(self, key, arrays)

    with monkeypatch.context() as patch:
        patch.setattr(FolderCheckpoints, "__setitem__", counted)
        with pytest.raises(KeyboardInterrupt):
            run_stage("attack")
        first = list(done)
        done.clear()
        patch.setattr(
            FolderCheckpoints,
            "__setitem__",
            lambda self, key, arrays: (done.append(key), keep(self, key, arrays))[1],
        )
        run_stage("attack")
    assert len(first) == 4
    assert done
    assert not set(first) & set(done)
