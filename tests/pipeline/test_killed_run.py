"""A run killed at any moment: the next goes on, does nothing twice, and is not blocked."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

import psutil
import pytest
from counted_run import MODELS, OUTPUTS, contents, counts, is_up_to_date, make
from dvc.dvcfile import Lockfile
from dvc.output import Output

from pipeline import stage
from pipeline.files import DVC_LOCK
from pipeline.jobs import run_jobs
from pipeline.record import Record, opened
from pipeline.worker import STAMPS, processes


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_the_record() -> None:
    write = Lockfile.dump_stages

    def half(self: Lockfile, stages: list, **options: object) -> None:
        write(self, stages, **options)
        text = Path(self.path).read_text()
        Path(self.path).write_text(text[: len(text) // 2] + " [")  # a cut that YAML cannot read
        if "attack@a" in text:
            die()
        Path(self.path).write_text(text)

    Lockfile.dump_stages = half


def die_after_the_record() -> None:
    write = Record.write

    def whole(self: Record) -> None:
        write(self)
        if Path("train_b").exists():
            die()

    Record.write = whole


# What is patched makes the moment of the kill.
MOMENTS: dict[str, Callable[[], None]] = {
    # The job has ended, and this process does not know it yet.
    "before a job's end is told": lambda: setattr(Record, "finish", die),
    # Its outputs are in the cache or half in it, and dvc.lock does not name them.
    "before it is recorded": lambda: setattr(
        Record, "write", lambda self, interval=0.0: self._unwritten and die()
    ),
    "while outputs go to the cache": lambda: setattr(Output, "commit", die),
    "in the midst of writing dvc.lock": die_in_the_record,
    "after dvc.lock was written": die_after_the_record,
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make(tmp_path)


def start(run: Path, patch: Callable[[], object] = int) -> ForkProcess:
    """A run in a process of its own, forked: what it imports is there already."""
    process = get_context("fork").Process(target=work, args=(run, patch))
    process.start()
    return process


def work(run: Path, patch: Callable[[], object]) -> None:
    with (run / "told").open("w") as told:
        for stream in (1, 2):
            os.dup2(told.fileno(), stream)
    sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1)
    patch()
    stage.guard(lambda: sys.exit(run_jobs(run, lambda: processes(2))))


def end(process: ForkProcess, seconds: float = 60) -> int | None:
    process.join(seconds)
    return process.exitcode


def wait_for(what: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def finished(run: Path) -> dict[str, int]:
    """How often those jobs ran that ended, recorded or not, and whose outputs are whole."""
    with opened(run) as record:
        ended = {job for job, stage in record.stages.items() if all(out.hash_info for out in stage.outs)}
    ended |= {stamp.name for stamp in (run / STAMPS).glob("*") if stamp.stat().st_size}
    names = {"images" if job == "render" else job.replace("@", "_") for job in ended}
    assert {name: text for name, text in contents(run).items() if name in names}.items() <= OUTPUTS.items()
    return {name: count for name, count in counts(run).items() if name in names}


def ends_whole(run: Path, before: dict[str, int]) -> None:
    """The next run ends with all outputs and does none of the finished jobs again."""
    assert run_jobs(run, lambda: processes(2)) == 0
    assert contents(run) == OUTPUTS
    done = counts(run)
    assert {name: done[name] for name in before} == before
    assert is_up_to_date(run)
    assert not list((run / STAMPS).iterdir())


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_chosen_moment(moment: str, run: Path) -> None:
    process = start(run, MOMENTS[moment])
    assert end(process) == -signal.SIGKILL
    before = finished(run)
    assert before
    ends_whole(run, before)


def test_killed_at_random_moments_its_workers_end_with_it(run: Path) -> None:
    for model in MODELS:
        (run / f"slow_train_{model}").write_text("0.4")
    moments = random.Random(3)
    before: dict[str, int] = {}
    for share in (0.1, 0.5):
        process = start(run)
        wait_for(lambda share=share: len(counts(run)) > share * len(OUTPUTS))
        time.sleep(moments.uniform(0.0, 0.3))
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.kill()
        assert end(process) == -signal.SIGKILL
        _, alive = psutil.wait_procs(children, 60)  # one that was starting ends when it has started
        assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []
        now = finished(run)
        assert now.items() >= before.items(), "a finished job was done again"
        before = now
    ends_whole(run, before)


@pytest.mark.parametrize("everybody", [True, False], ids=["Ctrl-C", "the run alone"])
def test_interrupted_it_ends_at_once_and_what_is_finished_is_recorded(everybody: bool, run: Path) -> None:
    (run / "slow_train_b").write_text("60")
    process = start(run)
    wait_for(lambda: (run / "probe_c").exists())
    everything = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in everything if everybody else everything[:1]:
        with suppress(psutil.NoSuchProcess):  # the run, which has it first, may have ended it by now
            one.send_signal(signal.SIGINT)
    assert end(process, 20) == 130
    told = (run / "told").read_text()
    assert told.splitlines()[-1] == "interrupted; finished work is kept, run again to go on"
    assert "Traceback" not in told, told
    assert psutil.wait_procs(everything, 5)[1] == []
    assert "probe@a" in (run / DVC_LOCK).read_text()
    (run / "slow_train_b").unlink()
    ends_whole(run, finished(run))


def test_a_second_run_in_the_folder_is_refused(run: Path) -> None:
    with opened(run):
        process = start(run)
        assert end(process, 30) == 2
    told = (run / "told").read_text()
    assert len(told.splitlines()) == 1
    assert f"another run or DVC command (process {os.getpid()}) is at work here" in told
