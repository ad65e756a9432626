"""Slurm as the engine, by submitit's executor for this machine: ends, kills, preemption, what is refused."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from counted_run import is_up_to_date, needs_submitit

from pipeline import reproduce
from pipeline.jobs import run_jobs
from pipeline.slurm_jobs import FOLDER, Queue, queue
from pipeline.worker import LOGS, STAMPS
from robustness.errors import UserError

ASKED = {"threads": 1, "device": "cpu", "cluster": "local"}

LONG = """
import os, pathlib, time
if not os.path.exists("begun"):
    pathlib.Path("beginning").write_text(str(os.getpid()))
    os.replace("beginning", "begun")
    time.sleep(300)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Queue]:
    needs_submitit()
    with queue(folder, **ASKED, at_once=4) as started:
        yield started


def test_a_job_ends_fails_or_is_killed(engine: Queue, folder: Path) -> None:
    commands = {"good": "echo well", "bad": "exit 3", "killed": "kill -9 $PPID"}
    futures = {name: engine.submit(folder, name, command, "inputs") for name, command in commands.items()}
    assert futures["good"].result(timeout=240).status == 0
    assert (folder / LOGS / "good.log").read_text() == "well\n"
    assert (folder / STAMPS / "good").read_text() == "inputs"
    assert futures["bad"].result(timeout=240).status == 3
    assert futures["killed"].exception(timeout=240) is not None
    assert not (folder / STAMPS / "killed").exists()


def test_a_preempted_job_is_queued_again_and_goes_on(engine: Queue, folder: Path) -> None:
    """The first time it would take minutes; the second time it finds what the first one began.

    submitit's executor for this machine queues nothing again: the second start is made here.
    """
    (folder / "long.py").write_text(LONG)
    sent = engine._sent[engine.submit(folder, "long", "python -m long", "inputs")]
    end = time.monotonic() + 240
    while not (folder / "begun").exists():
        assert time.monotonic() < end
        time.sleep(0.2)
    (task,) = psutil.Process(int(sent.job_id)).children()
    worker = psutil.Process(int((folder / "begun").read_text()))
    again = [*task.cmdline()], task.environ()
    task.send_signal(signal.SIGUSR2)  # what Slurm sends before it takes the machine away
    psutil.wait_procs([task, worker], timeout=60)
    assert not task.is_running()
    assert not worker.is_running()
    assert not sent.paths.result_pickle.exists()  # it has not ended, well or badly
    assert not (folder / STAMPS / "long").exists()

    subprocess.run(again[0], env=again[1], check=True)
    assert sent.result().status == 0
    assert (folder / STAMPS / "long").exists()


def test_a_run_is_recorded(tmp_path: Path) -> None:
    needs_submitit()
    stages = {
        "first": {"cmd": "echo 1 > one", "outs": ["one"]},
        "second": {"cmd": "cp one two", "deps": ["one"], "outs": ["two"]},
    }
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    for name, text in reproduce.DVC_FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text.format(cache="cache"))
    assert run_jobs(tmp_path, lambda: queue(tmp_path, **ASKED)) == 0
    assert (tmp_path / "two").read_text() == "1\n"
    assert (tmp_path / FOLDER).is_dir()
    assert is_up_to_date(tmp_path)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"threads": None}, "set threads in params.yaml"),
        ({"gpus_per_job": 0.25}, "whole GPUs"),
        ({"cluster": "slurm"}, "Slurm: "),  # there is none here
    ],
)
def test_what_cannot_be_asked_for_is_one_line(tmp_path: Path, asked: dict, message: str) -> None:
    needs_submitit()
    with pytest.raises(UserError, match=message) as refused, queue(tmp_path, **(ASKED | asked)):
        pass
    assert "\n" not in str(refused.value)
