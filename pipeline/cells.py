"""Run the models' cells that changed, several at once, and record them with DVC.

``dvc repro`` runs one stage after the other. A model's cells do not depend on another model's, so they may
run at once: the same commands, recorded in the same dvc.lock, so that ``dvc repro`` afterwards has nothing to
do. Where the commands run is the engine's matter: processes on this machine (here), or Ray (``ray_cells``).

A cell starts when those that it depends on are recorded, not when all of an earlier stage are: a model is
attacked while others are trained. DVC decides only then whether it has to run, because the same weights may
have come out again. The plan therefore cannot be handed over as a whole; each cell is handed to the engine
when it is free to start, and the engine queues what it has.
"""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tqdm import tqdm

from pipeline import files, lifeline, one_at_a_time, warm_start

if TYPE_CHECKING:
    from dvc.repo import Repo

# Stages with a cell a model, and what is as long as many of them and waits for none.
STAGES = ("learning_curve", "train", "evaluate", "attack", "probe")
LOGS = files.WORK / "logs"
LOG_LINES = 15
# The status of a cell whose worker died.
LOST = 1


class Engine(Protocol):
    """Where commands run. ``lost``: what a future raises when the machinery under a command died."""

    lost: tuple[type[Exception], ...]

    def submit(self, run: Path, cell: str, command: str) -> Future[tuple[int, float]]:
        """Run the command of a cell when there is room, as ``run_command``; its exit status and seconds."""


@dataclass
class Processes:
    """A process a cell on this machine, so many at once as the pool has threads."""

    pool: ThreadPoolExecutor
    stop: threading.Event = field(default_factory=threading.Event)
    lost: tuple[type[Exception], ...] = ()

    def submit(self, run: Path, cell: str, command: str) -> Future[tuple[int, float]]:
        return self.pool.submit(self._run, run, cell, command)

    def _run(self, run: Path, cell: str, command: str) -> tuple[int, float]:
        if self.stop.is_set():
            return 130, 0.0
        words = shlex.split(command)
        if not warm_start.can_start(words):
            return run_command(run, cell, words)
        start = time.perf_counter()
        return warm_start.run(words, run, _log(run, cell), environment()), time.perf_counter() - start


@contextmanager
def processes(jobs: int) -> Iterator[Processes]:
    """The engine that runs ``jobs`` cells at once on this machine."""
    with ThreadPoolExecutor(jobs) as pool:
        engine = Processes(pool)
        try:
            yield engine
        except BaseException:
            engine.stop.set()  # what runs gets the interruption itself; what waits must not start
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@dataclass
class Cell:
    """One cell: its command, and the cells that it depends on."""

    command: str
    needs: set[str]


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_cells(run: Path, engine: Engine) -> int:
    """Bring the models' cells of the run in folder ``run`` up to date with the engine.

    Returns an exit status: that of ``dvc repro`` for what comes before the cells, of the first cell that
    failed, or 0. A failed cell's log is shown; what depends on it is left out; all others finish.
    """
    status = dvc(run, "repro", "render")
    if status:
        return status
    from dvc.repo import Repo

    # It would tell of every record that it wrote dvc.lock and what might be pushed.
    logging.getLogger("dvc").setLevel(logging.WARNING)
    # DVC finds a stage's files from the folder that it is called in.
    with chdir(run), Repo() as repo:
        return _Running(run, repo, engine).to_the_end()


def dvc(run: Path, *arguments: str) -> int:
    """Call DVC in a folder; its exit status."""
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=run, env=environment(), check=False).returncode


def environment() -> dict[str, str]:
    """The environment in which ``python`` is this interpreter, and which names this process as the run."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, lifeline.RUN: str(os.getpid())}


def run_command(
    run: Path, cell: str, command: list[str], env: dict[str, str] | None = None
) -> tuple[int, float]:
    """Exit status and seconds of one cell; what it prints goes to its log."""
    log = _log(run, cell)
    start = time.perf_counter()
    with log.open("w") as out:
        done = subprocess.run(
            command,
            cwd=run,
            env=environment() if env is None else env,
            check=False,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    return done.returncode, time.perf_counter() - start


def _log(run: Path, cell: str) -> Path:
    log = (run / LOGS / f"{cell}.log").absolute()
    log.parent.mkdir(parents=True, exist_ok=True)
    return log


class _Running:
    """The cells of one run: which wait, which run, which failed."""

    def __init__(self, run: Path, repo: Repo, engine: Engine) -> None:
        self.run, self.repo, self.engine = run, repo, engine
        # Read once: DVC's own calls by name parse dvc.lock anew for every cell, over a second each time.
        self.stages = {
            stage.addressing: stage for stage in repo.index.graph if stage.addressing.split("@")[0] in STAGES
        }
        self.waiting = self._plan()
        self.running: dict[Future[tuple[int, float]], str] = {}
        self.failed: dict[str, int] = {}

    def to_the_end(self) -> int:
        """Run until nothing is left that can; the exit status."""
        with tqdm(total=0, unit="cell", mininterval=1.0, dynamic_ncols=True) as bar:
            self._start_what_can(bar)
            while self.running:
                for future in wait(self.running, return_when=FIRST_COMPLETED).done:
                    self._finish(future, bar)
                self._start_what_can(bar)
        if self.failed:
            left_out = f"; left out: {', '.join(self.waiting)}" if self.waiting else ""
            print(
                f"failed: {', '.join(self.failed)}{left_out}; the others are done and kept", file=sys.stderr
            )
        return next(iter(self.failed.values()), 0)

    def _start_what_can(self, bar: tqdm) -> None:
        while free := self._free():
            stale = self._stale(free)
            for name in free:
                cell = self.waiting.pop(name)
                if name in stale:
                    self.running[self.engine.submit(self.run, name, cell.command)] = name
            bar.total += len(stale)
            bar.refresh()

    def _free(self) -> list[str]:
        unfinished = {*self.waiting, *self.running.values(), *self.failed}
        return [name for name, cell in self.waiting.items() if not cell.needs & unfinished]

    def _finish(self, future: Future[tuple[int, float]], bar: tqdm) -> None:
        cell = self.running.pop(future)
        try:
            status, seconds = future.result()
            why = f"status {status}"
        except self.engine.lost as error:
            status, seconds, why = LOST, 0.0, f"its worker died: {first_line(error)}"
        if status:
            self.failed[cell] = status
            bar.write(f"{cell} failed ({why}):\n{_tail(self.run, cell)}", file=sys.stderr)
        else:
            self._record(cell)
            one_at_a_time.keep(self.run)
        bar.set_postfix_str(f"{cell} {seconds:.0f} s", refresh=False)
        bar.update()

    def _plan(self) -> dict[str, Cell]:
        """All cells, those of an earlier stage first, as DVC's graph has them."""
        graph = self.repo.index.graph
        names = sorted(self.stages, key=lambda name: STAGES.index(name.split("@")[0]))
        return {
            name: Cell(
                self.stages[name].cmd,
                {need.addressing for need in graph.successors(self.stages[name])} & self.stages.keys(),
            )
            for name in names
        }

    def _stale(self, cells: list[str]) -> set[str]:
        """Those of the cells that DVC would run now."""
        with self.repo.lock:
            return {cell for cell in cells if self.stages[cell].status(check_updates=True)}

    def _record(self, cell: str) -> None:
        """What ``dvc commit`` does: outputs into the cache, hashes into dvc.lock."""
        stage = self.stages[cell]
        with self.repo.lock:
            stage.save()
            stage.commit(relink=False)
            stage.dump(update_pipeline=False)


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _tail(run: Path, cell: str) -> str:
    """The last lines of a cell's log, without the progress bars that were overwritten."""
    log = run / LOGS / f"{cell}.log"
    if not log.exists():  # its worker died before it started
        return "(it printed nothing)"
    lines = [line.rsplit("\r", 1)[-1] for line in log.read_text(errors="replace").splitlines()]
    return "\n".join(lines[-LOG_LINES:])
