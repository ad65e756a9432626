"""Run the stages that changed side by side, a process each, and record them with DVC.

``dvc repro`` runs one stage after the other. A model's cells do not depend on another model's, so they may
run at once, each on few threads: the same commands, recorded in the same dvc.lock, so that ``dvc repro``
afterwards has nothing to do.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import chdir
from pathlib import Path

from tqdm import tqdm

from pipeline import files, lifeline, one_at_a_time

# Stages whose cells are independent of each other; those of one line wait for the line before.
WAVES = (("train",), ("evaluate", "attack", "probe"))
LOGS = files.WORK / "logs"
LOG_LINES = 15

_STALE = re.compile(r"^Running stage '(?P<cell>[^']+)':\n> (?P<command>.+)$", re.MULTILINE)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_side_by_side(run: Path, jobs: int) -> int:
    """Bring the models' cells of the run in folder ``run`` up to date, ``jobs`` at a time.

    Returns an exit status: that of ``dvc repro`` for what comes before the cells, of the first cell that
    failed, or 0. A failed cell's log is shown; its siblings finish first; later waves are left out.
    """
    status = dvc(run, "repro", "render")
    for wave in WAVES:
        if status:
            return status
        status = _run_wave(run, list(_stale(run, wave)), jobs)
    return status


def dvc(run: Path, *arguments: str) -> int:
    """Call DVC in a folder; its exit status."""
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=run, env=environment(), check=False).returncode


def environment() -> dict[str, str]:
    """The environment in which ``python`` is this interpreter, and which names this process as the run."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, lifeline.RUN: str(os.getpid())}


def _stale(run: Path, wave: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(cell, command) of the wave's cells that DVC would run."""
    command = [sys.executable, "-m", "dvc", "repro", "--dry", *wave]
    told = subprocess.run(command, cwd=run, env=environment(), check=False, text=True, stdout=subprocess.PIPE)
    for found in _STALE.finditer(told.stdout):
        if found["cell"].split("@")[0] in wave:
            yield found["cell"], found["command"]


def _run_wave(run: Path, cells: list[tuple[str, str]], jobs: int) -> int:
    if not cells:
        return 0
    from dvc.repo import Repo

    failed: dict[str, int] = {}
    stop = threading.Event()
    # DVC finds a stage's files from the folder that it is called in.
    with chdir(run), Repo() as repo, ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(_run_cell, run, cell, command, stop): cell for cell, command in cells}
        try:
            with tqdm(total=len(cells), unit="cell", mininterval=1.0, dynamic_ncols=True) as bar:
                for done in as_completed(waiting):
                    cell, (status, seconds) = waiting[done], done.result()
                    if status:
                        failed[cell] = status
                        bar.write(f"{cell} failed (status {status}):\n{_tail(run, cell)}", file=sys.stderr)
                    else:
                        repo.commit(cell, force=True, relink=False)
                        one_at_a_time.keep(run)
                    bar.set_postfix_str(f"{cell} {seconds:.0f} s", refresh=False)
                    bar.update()
        except BaseException:
            stop.set()  # what runs gets the interruption itself; what waits must not start
            for future in waiting:
                future.cancel()
            raise
    if failed:
        print(f"failed: {', '.join(failed)}; the others are done and kept", file=sys.stderr)
    return next(iter(failed.values()), 0)


def _run_cell(run: Path, cell: str, command: str, stop: threading.Event) -> tuple[int, float]:
    """Exit status and seconds of one cell; what it prints goes to its log."""
    if stop.is_set():
        return 130, 0.0
    log = run / LOGS / f"{cell}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    with log.open("w") as out:
        done = subprocess.run(
            shlex.split(command),
            cwd=run,
            env=environment(),
            check=False,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    return done.returncode, time.perf_counter() - start


def _tail(run: Path, cell: str) -> str:
    """The last lines of a cell's log, without the progress bars that were overwritten."""
    text = (run / LOGS / f"{cell}.log").read_text(errors="replace")
    lines = [line.rsplit("\r", 1)[-1] for line in text.splitlines()]
    return "\n".join(lines[-LOG_LINES:])
