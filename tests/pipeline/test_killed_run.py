"""``make repro`` killed at any moment: the next goes on, does nothing twice, and is not blocked."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipeline import one_at_a_time
from pipeline.reproduce import DVC_FILES, bring_up_to_date
from robustness.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
MODELS = "ab"
DVC_YAML = """
stages:
  render:
    cmd: python cell.py render all
    deps: [cell.py]
    outs: [images]
""" + "".join(
    f"""
  {stage}:
    matrix: {{model: [{", ".join(MODELS)}]}}
    cmd: python cell.py {stage} ${{item.model}}
    deps: [{dep}]
    outs: ["{stage}_${{item.model}}"]
"""
    for stage, dep in (
        ("train", "images"),
        ("evaluate", '"train_${item.model}"'),
        ("attack", '"train_${item.model}"'),
        ("probe", '"train_${item.model}"'),
    )
)
# Counts how often it began and, a moment later, writes its output in two halves; `at_work` names those there.
CELL = """
import os, pathlib, sys, time
from pipeline import lifeline
lifeline.INTERVAL = 0.05
lifeline.end_with_run()
stage, model = sys.argv[1:]
name = "images" if stage == "render" else f"{stage}_{model}"
mark = pathlib.Path(f"at_work_{name}_{os.getpid()}")
mark.touch()
with open(f"count_{name}", "a") as count:
    count.write("x")
with open(name, "w") as out:
    out.write(stage); out.flush()
    time.sleep(0.2)
    out.write(model)
mark.unlink()
"""
DRIVER = """
import sys
from pathlib import Path
from pipeline.reproduce import bring_up_to_date
print("starts", flush=True)
sys.exit(bring_up_to_date(Path.cwd(), 2, sys.argv[1:]))
"""
OUTPUTS = {"images": "renderall"} | {
    f"{stage}_{model}": f"{stage}{model}"
    for stage in ("train", "evaluate", "attack", "probe")
    for model in MODELS
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "cell.py").write_text(CELL)
    for name, text in DVC_FILES.items():  # quicker than `dvc init`
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text.format(cache="cache"))
    return tmp_path


def start(run: Path, arguments: list[str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *arguments],
        cwd=run,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "starts\n"
    return process


def counts(run: Path) -> dict[str, int]:
    return {
        name: (run / f"count_{name}").stat().st_size for name in OUTPUTS if (run / f"count_{name}").exists()
    }


def recorded(run: Path) -> set[str]:
    """The outputs of the cells that DVC has recorded."""
    stages = (
        one_at_a_time._stages(run / "dvc.lock") or one_at_a_time._stages(run / one_at_a_time.KEPT) or set()
    )
    return {"images" if stage == "render" else stage.replace("@", "_") for stage in stages}


def at_work(run: Path) -> Iterator[int]:
    """The processes of cells that are there."""
    for mark in run.glob("at_work_*"):
        number = int(mark.name.split("_")[-1])
        # One that ended after its parent stays a zombie where nobody asks how it ended.
        if psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
            yield number
        else:
            mark.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [[], ["--quiet"]], ids=["cells side by side", "dvc repro alone"])
def test_killed_at_random_moments_it_ends_whole_and_does_nothing_twice(
    arguments: list[str], run: Path
) -> None:
    moments = random.Random(len(arguments))
    killed = 0
    finished: dict[str, int] = {}
    shares = (0.2, 0.6)
    for share in shares:  # of the cells, which have begun at least when it is killed
        process = start(run, arguments)
        end = time.monotonic() + 120
        while len(counts(run)) < share * len(OUTPUTS) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(moments.uniform(0.0, 0.6))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        end = time.monotonic() + 10  # its cells end with it
        while list(at_work(run)) and time.monotonic() < end:
            time.sleep(0.05)
        assert not list(at_work(run))
        now = counts(run)
        assert all(now[name] == count for name, count in finished.items()), "a finished cell was done again"
        finished = {name: now[name] for name in recorded(run)}
    assert killed == len(shares), "a kill did not meet it at work"
    assert bring_up_to_date(run, 2, arguments) == 0
    assert {name: (run / name).read_text() for name in OUTPUTS} == OUTPUTS
    assert all(counts(run)[name] == count for name, count in finished.items())
    done = counts(run)
    assert bring_up_to_date(run, 1) == 0
    assert counts(run) == done, "a whole run has nothing to do"
    assert not (run / one_at_a_time.KEPT).exists()


def write_lock(run: Path, cells: int = 3) -> str:
    entries = "".join(
        f"  train@{model}:\n    cmd: python cell.py train {model}\n    outs:\n    - path: train_{model}\n"
        f"      hash: md5\n      md5: 0123456789abcdef0123456789abcdef\n      size: 6\n"
        for model in "abcdef"[:cells]
    )
    text = f"schema: '2.0'\nstages:\n{entries}"
    (run / "dvc.lock").write_text(text)
    return text


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.4, 0.55, 0.9])
@pytest.mark.parametrize("kept", [True, False])
def test_a_record_cut_short_is_put_back(share: float, kept: bool, tmp_path: Path) -> None:
    text = write_lock(tmp_path)
    if kept:
        one_at_a_time.keep(tmp_path)
    (tmp_path / "dvc.lock").write_text(text[: int(share * len(text))])
    lines = one_at_a_time.mend(tmp_path)
    if kept:
        found = one_at_a_time._stages(tmp_path / "dvc.lock")
        assert found == {"train@a", "train@b", "train@c"}
    else:
        assert (
            not (tmp_path / "dvc.lock").exists() or one_at_a_time._stages(tmp_path / "dvc.lock") is not None
        )
    assert all("dvc.lock: damaged" in line and "\n" not in line for line in lines)
    assert one_at_a_time.mend(tmp_path) == []


def test_a_whole_record_is_left_alone(tmp_path: Path) -> None:
    text = write_lock(tmp_path)
    one_at_a_time.keep(tmp_path)
    longer = write_lock(tmp_path, 4)
    assert one_at_a_time.mend(tmp_path) == []
    assert (tmp_path / "dvc.lock").read_text() == longer != text


def rwlock(run: Path, text: str) -> Path:
    path = run / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("text", ["", '{"write": {"/a/', "[]", '{"write": {"/a": 3}}'])
def test_a_list_of_readers_cut_short_is_removed(text: str, tmp_path: Path) -> None:
    path = rwlock(tmp_path, text)
    (line,) = one_at_a_time.mend(tmp_path)
    assert "rwlock: damaged" in line
    assert not path.exists()


def test_readers_that_are_there_are_left_and_those_that_took_a_number_later_are_not(tmp_path: Path) -> None:
    entry = {"pid": os.getpid(), "cmd": "dvc repro"}
    path = rwlock(tmp_path, json.dumps({"write": {"/a": entry}, "read": {"/b": [entry]}}))
    assert one_at_a_time.mend(tmp_path) == []
    assert path.exists()
    os.utime(path, (0, 0))  # written before this process began: another had its number
    assert one_at_a_time.mend(tmp_path) == []
    assert not path.exists()


HOLDER = """
import fcntl, os, sys, time
file = open(sys.argv[1], "a+")
fcntl.flock(file, fcntl.LOCK_EX)
file.write(f"{os.getpid()}\\n"); file.flush()
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("place", "who"), [(one_at_a_time.LOCK, "another run"), (Path(".dvc/tmp/lock"), "another DVC command")]
)
def test_another_run_in_the_folder_is_named_and_a_killed_one_is_not_in_the_way(
    place: Path, who: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_at_a_time, "PATIENCE", 0.3)
    (tmp_path / place).parent.mkdir(parents=True)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / place)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"{who} \(process {holder.pid}\) is at work here; wait"):
            bring_up_to_date(tmp_path, 1)
    finally:
        holder.kill()
        holder.wait()
    with one_at_a_time.alone(tmp_path):
        assert (tmp_path / one_at_a_time.LOCK).read_text() == f"{os.getpid()}\n"
