"""Killed at any moment, a stage run again ends with the tables of an uninterrupted run."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from tiny_run import PARAMS, run_stage, write_class_list, write_library, write_params

from pipeline import files
from robustness.data.image_set import ImageSet

ROOT = Path(__file__).resolve().parents[1]
KILLS = 4
MODEL = "plain"
LONGER = PARAMS | {
    "training": PARAMS["training"] | {"epochs": 4},
    "attack": PARAMS["attack"]
    | {
        "norms": {
            "linf": {"epsilons": [1, 2, 4, 8], "attacks": {"pgd": {"steps": 2}, "square": {"steps": 2}}}
        }
    },
    "models": {MODEL: PARAMS["models"][MODEL]},
}
# Imports take longer than the stages: a process that has everything imported forks one for every line
# "stage<tab>folder", tells its number, and then how it ended.
LAUNCHER = """
import os, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import torch, tiny_run
from pipeline import files, stage
files.CLASS_LIST = Path("classes.csv")
torch.set_num_threads(1)
for line in sys.stdin:
    name, folder = line.rstrip().split("\\t")
    number = os.fork()
    if number == 0:
        os.chdir(folder)
        status = 1
        try:
            stage.guard(lambda: tiny_run.run_stage(name))
            status = 0
        finally:
            os._exit(status)
    print(number, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def launcher() -> Iterator[subprocess.Popen[str]]:
    """The process that starts stages."""
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER.format(tests=str(ROOT / "tests"))],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield process
    process.kill()
    process.wait()


def kill_at_work(launcher: subprocess.Popen[str], name: str, folder: Path, after: float) -> bool:
    """Start the stage and kill it (-9) ``after`` seconds; whether it was still at work."""
    assert launcher.stdin is not None
    assert launcher.stdout is not None
    launcher.stdin.write(f"{name}\t{folder}\n")
    launcher.stdin.flush()
    number = int(launcher.stdout.readline())
    time.sleep(after)
    with suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)
    status = int(launcher.stdout.readline())
    assert status in (0, -signal.SIGKILL)
    return status != 0


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """A run that nothing interrupted, and the seconds that each stage took."""
    folder = tmp_path_factory.mktemp("whole")
    write_params(folder, LONGER)
    write_library(folder / "data" / "library")
    seconds = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(files, "CLASS_LIST", write_class_list(folder / "classes.csv"))
        for name in ("render", "train", "attack"):
            start = time.perf_counter()
            run_stage(name)
            seconds[name] = time.perf_counter() - start
    return folder, seconds


OUTPUT = {
    "render": files.IMAGES,
    "train": files.MODELS / MODEL,
    "attack": files.RESULTS / MODEL / "attack",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OUTPUT)
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(
    name: str,
    launcher: subprocess.Popen[str],
    whole_run: tuple[Path, dict[str, float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, seconds = whole_run
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / OUTPUT[name])
    moments = random.Random(name)
    killed = 0
    for _ in range(KILLS):
        after = moments.uniform(0.05, 0.8) * seconds[name]
        killed += kill_at_work(launcher, name, folder, after)
        place = folder / OUTPUT[name]
        if place.exists():  # whole or not at all
            assert tables(place).keys() == tables(whole / OUTPUT[name]).keys()
    assert killed, "no kill met it at work"
    monkeypatch.chdir(folder)
    monkeypatch.setattr(files, "CLASS_LIST", folder / "classes.csv")
    run_stage(name)
    expected, found = tables(whole / OUTPUT[name]), tables(folder / OUTPUT[name])
    assert expected.keys() == found.keys()
    for table, frame in expected.items():
        pd.testing.assert_frame_equal(frame, found[table])
    for path in (whole / OUTPUT[name]).iterdir():
        assert path.read_bytes() == (folder / OUTPUT[name] / path.name).read_bytes(), path.name
    # Nothing is left of the work, but what is known of a finished one.
    left = [path.name for path in (folder / OUTPUT[name]).parent.iterdir() if path.name.startswith(".")]
    assert not [part for part in left if part.endswith("-parts")]
    assert not (folder / files.WORK / MODEL / "state.pt").exists()
    if name == "render":
        ImageSet.open(place)


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {path.name: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}


def test_finished_work_is_not_done_twice(
    whole_run: tuple[Path, dict[str, float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after half of the (attack, ε), the next run computes the other half only."""
    from robustness.attacks.stores import FolderStore

    folder = tmp_path / "run"
    shutil.copytree(whole_run[0], folder)
    shutil.rmtree(folder / OUTPUT["attack"])
    monkeypatch.chdir(folder)
    done: list[str] = []
    keep = FolderStore.__setitem__

    def counted(self: FolderStore, key: str, arrays: dict) -> None:
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(key)
        keep(self, key, arrays)

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "__setitem__", counted)
        with pytest.raises(KeyboardInterrupt):
            run_stage("attack")
        first = list(done)
        done.clear()
        patch.setattr(
            FolderStore,
            "__setitem__",
            lambda self, key, arrays: (done.append(key), keep(self, key, arrays))[1],
        )
        run_stage("attack")
    assert len(first) == 4
    assert done
    assert not set(first) & set(done)
