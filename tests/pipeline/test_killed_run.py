"""A run killed at any moment: the next goes on, does nothing twice, and is not blocked."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from counted_run import MODELS, OUTPUTS, contents, counts, is_up_to_date, make

from pipeline.cells import run_cells
from pipeline.record import DVC_LOCK, opened
from pipeline.worker import STAMPS, processes

ROOT = Path(__file__).resolve().parents[2]
# What is patched makes the moment of the kill: see the tests.
DRIVER = """
import os, signal, sys
from pathlib import Path
if __name__ == "__main__":  # workers import the rest of this page
    from dvc.dvcfile import Lockfile
    from pipeline import cells, record, stage, worker
    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)
    def do():
        sys.exit(cells.run_cells(Path.cwd(), lambda: worker.processes(2)))
    {patch}
    print("starts", flush=True)
    stage.guard(do)
"""
IN_THE_RECORD = """
    cells.RECORD_INTERVAL = 0.0
    write = Lockfile.dump_stages
    def half(self, stages, **options):
        write(self, stages, **options)
        text = Path(self.path).read_text()
        Path(self.path).write_text(text[:len(text) // 2] + ' [')  # a cut that YAML cannot read
        if "attack@a" in text:
            die()
        Path(self.path).write_text(text)
    Lockfile.dump_stages = half
"""
MOMENTS = {
    # The cell has ended, and this process does not know it yet.
    "before a cell's end is told": "record.Record.finish = die",
    # Its outputs are in the cache or half in it, and dvc.lock does not name them.
    "before it is recorded": "record.Record.write = lambda self, interval=0: self._unwritten and die()",
    "while outputs go to the cache": "from dvc.output import Output; Output.commit = die",
    "in the midst of writing dvc.lock": IN_THE_RECORD.strip(),
    "after dvc.lock was written": "cells.RECORD_INTERVAL = 0.0; record.Record.write = (lambda write: "
    "lambda self, interval=0: (write(self), Path('train_b').exists() and die()))(record.Record.write)",
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make(tmp_path)


def start(run: Path, patch: str = "") -> subprocess.Popen[str]:
    (run / "driver.py").write_text(DRIVER.replace("{patch}", patch))
    process = subprocess.Popen(
        [sys.executable, "driver.py"],
        cwd=run,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "starts\n"
    return process


def wait_for(what: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def finished(run: Path) -> dict[str, int]:
    """How often those cells ran that ended, recorded or not, and whose outputs are whole."""
    with opened(run) as record:
        ended = {cell for cell, stage in record.stages.items() if all(out.hash_info for out in stage.outs)}
    ended |= {stamp.name for stamp in (run / STAMPS).glob("*") if stamp.stat().st_size}
    names = {"images" if cell == "render" else cell.replace("@", "_") for cell in ended}
    assert {name: text for name, text in contents(run).items() if name in names}.items() <= OUTPUTS.items()
    return {name: count for name, count in counts(run).items() if name in names}


def ends_whole(run: Path, before: dict[str, int]) -> None:
    """The next run ends with all outputs and does none of the finished cells again."""
    assert run_cells(run, lambda: processes(2)) == 0
    assert contents(run) == OUTPUTS
    done = counts(run)
    assert {name: done[name] for name in before} == before
    assert is_up_to_date(run)
    assert not list((run / STAMPS).iterdir())


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_chosen_moment(moment: str, run: Path) -> None:
    process = start(run, MOMENTS[moment])
    assert process.wait(60) == -signal.SIGKILL
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
        assert process.wait() == -signal.SIGKILL
        _, alive = psutil.wait_procs(children, 60)  # one that was starting ends when it has started
        assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []
        now = finished(run)
        assert now.items() >= before.items(), "a finished cell was done again"
        before = now
    ends_whole(run, before)


@pytest.mark.parametrize("everybody", [True, False], ids=["Ctrl-C", "the run alone"])
def test_interrupted_it_ends_at_once_and_what_is_finished_is_recorded(everybody: bool, run: Path) -> None:
    (run / "slow_train_b").write_text("60")
    process = start(run)
    wait_for(lambda: (run / "probe_c").exists())
    everything = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in everything if everybody else everything[:1]:
        one.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert told.splitlines()[-1] == "interrupted; finished work is kept, run again to go on"
    assert "Traceback" not in told, told
    assert psutil.wait_procs(everything, 5)[1] == []
    assert "probe@a" in (run / DVC_LOCK).read_text()
    (run / "slow_train_b").unlink()
    ends_whole(run, finished(run))


def test_a_second_run_in_the_folder_is_refused(run: Path) -> None:
    with opened(run):
        process = start(run)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 2
    assert len(told.splitlines()) == 1
    assert f"another run or DVC command (process {os.getpid()}) is at work here" in told
