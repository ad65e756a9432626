"""Run the cells of a run that changed, several at once, and record them with DVC.

A cell is a stage of dvc.yaml, or one model's part of it. ``dvc repro`` runs one after the other; here a cell
starts as soon as those that it needs are done: a model is attacked while others are trained. Only then is it
known whether it has to run, because the same weights may have come out again. Where cells run is the engine's
matter: processes on this machine (here), or Ray (``ray_cells``).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from dvc.exceptions import DvcException
from tqdm import tqdm

from pipeline import files, worker
from pipeline.cell_seconds import CellSeconds, counted, stage_of
from pipeline.record import LOGS, Record, opened
from pipeline.worker import Ended, Order

SECONDS = files.WORK / "cell_seconds.csv"
LOG_LINES = 15
LOST = 1  # the status of a cell whose worker died twice
UNKNOWN = 3600.0  # seconds that a stage over all models is taken to last, for the order, before it was seen
BAR = "{percentage:3.0f}%|{bar:20}| {n_fmt}/{total_fmt} cells [{elapsed}{postfix}]"  # no cells × mean
LOOK_INTERVAL = 10.0  # seconds between two tellings of the time left while no cell ends
RECORD_INTERVAL = 120.0  # seconds between two writings of dvc.lock


class Engine(Protocol):
    """Where cells run. ``lost``: what a future raises when the worker under a cell died."""

    lost: tuple[type[Exception], ...]

    def slots(self) -> int:
        """How many cells it runs at once."""

    def submit(self, order: Order) -> Future[Ended]:
        """Run a cell, as ``worker.run_cell`` does; called while fewer than ``slots`` run."""


class Processes:
    """Workers on this machine. Each is a pool of its own, so that one that dies takes no other along."""

    lost: tuple[type[Exception], ...] = (BrokenProcessPool,)

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._idle: list[ProcessPoolExecutor] = []
        self._busy: dict[Future[Ended], ProcessPoolExecutor] = {}

    def slots(self) -> int:
        return self._jobs

    def submit(self, order: Order) -> Future[Ended]:
        for future in [future for future in self._busy if future.done()]:
            pool = self._busy.pop(future)
            if not isinstance(future.exception(), BrokenProcessPool):
                self._idle.append(pool)
        # Not forked: the libraries that this process has loaded keep threads and locks.
        context = multiprocessing.get_context("spawn")
        pool = (
            self._idle.pop()
            if self._idle
            else ProcessPoolExecutor(1, context, initializer=worker.start, initargs=(order.run,))
        )
        # A worker is started with Ctrl-C blocked: the run is interrupted, and ends its workers.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            future = pool.submit(worker.run_cell, order)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._busy[future] = pool
        return future

    def end(self) -> None:
        """Kill the workers, in the midst of their cells or not."""
        for process in multiprocessing.active_children():
            process.kill()
        for pool in [*self._idle, *self._busy.values()]:
            pool.shutdown()


@contextmanager
def processes(jobs: int) -> Iterator[Processes]:
    """The engine that runs ``jobs`` cells at once on this machine; its workers end with it."""
    engine = Processes(jobs)
    try:
        yield engine
    finally:
        engine.end()


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_cells(run: Path, engine: Engine) -> int:
    """Bring the run in folder ``run`` up to date with the engine.

    Returns the exit status of the first cell that failed, or 0. A failed cell's log is shown; what depends on
    it is left out; all others finish. Raises UserError if another run is at work in the folder.
    """
    with opened(run) as record:
        return _Run(record, engine).to_the_end()


class _Run:
    """The cells of one run: which wait, which are ready, which run, which failed."""

    def __init__(self, record: Record, engine: Engine) -> None:
        self.record, self.engine = record, engine
        self.seconds = CellSeconds(SECONDS)
        self.waiting = list(record.needs)
        self.ready: list[str] = []
        self.running: dict[Future[Ended], tuple[str, float]] = {}
        self.lost: set[str] = set()
        self.failed: dict[str, int] = {}
        self.ended = 0

    def to_the_end(self) -> int:
        """Run until nothing is left that can; the exit status."""
        self._settle()
        left = self._left()
        if left:
            print(f"{len(left)} cells to do: {counted(left)}", flush=True)
        written = time.monotonic()
        with tqdm(total=len(left), mininterval=1.0, miniters=0, bar_format=BAR, disable=not left) as bar:
            try:
                while self.ready or self.running:
                    self._start_what_can()
                    for future in wait(self.running, LOOK_INTERVAL, return_when=FIRST_COMPLETED).done:
                        self._finish(future, self.running.pop(future)[0])
                    self._settle()
                    left = self._left()
                    bar.total = self.ended + len(left)  # fewer where the same weights came out again
                    bar.set_postfix_str(self._time_left(left), refresh=False)
                    bar.update(self.ended - bar.n)
                    if time.monotonic() > written + RECORD_INTERVAL:
                        self.record.write()
                        written = time.monotonic()
            finally:
                self.record.write()
        if self.failed:
            left_out = f"; left out: {', '.join(self.waiting)}" if self.waiting else ""
            print(
                f"failed: {', '.join(self.failed)}{left_out}; the others are done and kept", file=sys.stderr
            )
        else:
            done = f"nothing to do: {len(self.record.needs)} cells are up to date"
            print(self.seconds.table(self.record.needs) if self.ended else done)
        return next(iter(self.failed.values()), 0)

    def _settle(self) -> None:
        """Find out which of the cells that wait for no other have to run."""
        while True:
            unfinished = {
                *self.waiting,
                *self.ready,
                *self.failed,
                *(cell for cell, _ in self.running.values()),
            }
            free = [cell for cell in self.waiting if not self.record.needs[cell] & unfinished]
            if not free:
                return
            for cell in free:
                self.waiting.remove(cell)
                try:
                    done = self.record.is_done(cell)
                except DvcException as error:  # a dependency that nothing makes is not there
                    self._fail(cell, 1, first_line(error))
                    continue
                if not done:
                    self.ready.append(cell)
                elif isinstance(done, Ended):
                    self.seconds.add(cell, done)

    def _start_what_can(self) -> None:
        """Start those first after which the longest way is left."""
        length = self._lengths(self.seconds.of_cell)
        self.ready.sort(key=lambda cell: -length[cell])
        while self.ready and len(self.running) < self.engine.slots():
            cell = self.ready.pop(0)
            if "@" not in cell:
                self.record.write()  # what works on all models may name dvc.lock
            future = self.engine.submit(self.record.order(cell))
            self.running[future] = (cell, time.monotonic())

    def _finish(self, future: Future[Ended], cell: str) -> None:
        try:
            ended = future.result()
            if ended.status == 0:
                self.record.finish(cell)
                self.seconds.add(cell, ended)
                self.ended += 1
            else:
                self._fail(cell, ended.status, f"status {ended.status}")
        except self.engine.lost as error:
            if cell in self.lost:
                self._fail(cell, LOST, f"its worker died: {first_line(error)}")
            else:
                self.lost.add(cell)
                self.ready.append(cell)
        except DvcException as error:
            self._fail(cell, 1, first_line(error))

    def _fail(self, cell: str, status: int, why: str) -> None:
        self.failed[cell] = status
        tqdm.write(f"{cell} failed ({why}):\n{_tail(LOGS / f'{cell}.log')}", file=sys.stderr)

    def _left(self) -> list[str]:
        """The cells that run or are to run, those that are needed first; not what waits for a failed one."""
        out = set(self.failed)
        for cell, needs in self.record.needs.items():
            if needs & out:
                out.add(cell)
        to_do = {*self.waiting, *self.ready, *(cell for cell, _ in self.running.values())} - out
        return [cell for cell in self.record.needs if cell in to_do]

    def _lengths(self, seconds: Callable[[str], float | None]) -> dict[str, float]:
        """The seconds from the start of each cell to the end of all that waits for it."""
        length: dict[str, float] = {}
        after: dict[str, float] = defaultdict(float)
        for cell in reversed(self.record.needs):
            length[cell] = (seconds(cell) or (1.0 if "@" in cell else UNKNOWN)) + after[cell]
            for need in self.record.needs[cell]:
                after[need] = max(after[need], length[cell])
        return length

    def _time_left(self, left: list[str]) -> str:
        """How long the rest will take, as its stages took so far."""
        begun = {cell: time.monotonic() - start for cell, start in self.running.values()}
        known = {cell: self.seconds.of_stage(cell) for cell in left}
        total = sum(max(0.0, (known[cell] or 0.0) - begun.get(cell, 0.0)) for cell in left)
        unknown = {stage_of(cell) for cell in left if known[cell] is None}
        told = f"{tqdm.format_interval(total / self.engine.slots())} left"
        return f"{told} and what is not timed yet: {', '.join(sorted(unknown))}" if unknown else told


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _tail(log: Path) -> str:
    """The last lines of a cell's log, without the progress bars that were overwritten."""
    if not log.exists():  # its worker died before it started
        return "(it printed nothing)"
    lines = [line.rsplit("\r", 1)[-1] for line in log.read_text(errors="replace").splitlines()]
    return "\n".join(lines[-LOG_LINES:])
