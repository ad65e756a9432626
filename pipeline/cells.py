"""Run the cells of a run that changed, several at once, and record them with DVC.

A cell is a stage of dvc.yaml, or one model's part of it. ``dvc repro`` runs one after the other; here a cell
starts as soon as those that it needs are done: a model is attacked while others are trained. Only then is it
known whether it has to run, because the same weights may have come out again.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager
from graphlib import TopologicalSorter
from math import inf
from pathlib import Path
from typing import Protocol

from dvc.exceptions import DvcException
from tqdm import tqdm

from pipeline.cell_seconds import CellSeconds, stage_of
from pipeline.record import Record, opened
from pipeline.worker import LOGS, Ended

LOG_LINES = 15
LOST = 1  # the status of a cell whose worker died twice
BAR = "{percentage:3.0f}%|{bar:20}| {n_fmt}/{total_fmt} cells [{elapsed}{postfix}]"  # no cells × mean
LOOK_INTERVAL = 10.0  # seconds between two tellings of the time left while no cell ends


class Engine(Protocol):
    """Where cells run, ``slots`` at once. A future raises an exception if the worker under its cell died."""

    def slots(self) -> int: ...

    def submit(self, run: Path, cell: str, command: str, inputs: str) -> Future[Ended]: ...


def run_cells(run: Path, engine: Callable[[], AbstractContextManager[Engine]]) -> int:
    """Bring the run in folder ``run`` up to date; ``engine`` starts one, and is called if a cell has to run.

    Returns the exit status of the first cell that failed, or 0. A failed cell's log is shown; what depends on
    it is left out; all others finish. Raises UserError if another run is at work in the folder.
    """
    with opened(run) as record:
        cells = _Cells(record)
        try:
            cells.look()
            if cells.ready:
                counts = Counter(map(stage_of, cells.left)).items()
                told = ", ".join(f"{count} {stage}" for stage, count in counts)
                print(f"{len(cells.left)} cells to do: {told}", flush=True)
                with engine() as started:
                    cells.run(started)
                print(cells.seconds.table(record.needs))
            elif not cells.failed:
                print(f"nothing to do: {len(record.needs)} cells are up to date")
        finally:
            record.write()
    if cells.failed:
        left_out = [cell for cell in cells.out if cell not in cells.failed]
        named = ", ".join(cells.failed) + (f"; left out: {', '.join(left_out)}" if left_out else "")
        print(f"failed: {named}; the others are done and kept", file=sys.stderr)
    return next(iter(cells.failed.values()), 0)


class _Cells:
    """The cells of one run: which are done, ready to run, at work, failed, or out because one failed."""

    def __init__(self, record: Record) -> None:
        self.record, self.seconds = record, CellSeconds()
        self.sorter = TopologicalSorter(record.needs)
        self.sorter.prepare()
        self.left = list(record.needs)
        self.chains = dict.fromkeys(record.needs, 0)  # the longest chain of cells that wait for each
        for cell in reversed(record.needs):
            for need in record.needs[cell]:
                self.chains[need] = max(self.chains[need], 1 + self.chains[cell])
        self.ready: list[str] = []
        self.running: dict[Future[Ended], tuple[str, float]] = {}
        self.lost: set[str] = set()
        self.failed: dict[str, int] = {}
        self.out: list[str] = []

    def look(self) -> None:
        """Find out which of the cells that wait for no other have to run."""
        while free := self.sorter.get_ready():
            for cell in free:
                try:
                    done = self.record.is_done(cell)
                except DvcException as error:  # what it depends on is missing
                    self._fail(cell, first_line(error))
                    continue
                self._done(cell) if done else self.ready.append(cell)

    def run(self, engine: Engine) -> None:
        """Run until nothing is left that can."""
        with tqdm(total=len(self.left), bar_format=BAR) as bar:
            while self.ready or self.running:
                self._start(engine)
                for future in wait(self.running, LOOK_INTERVAL, return_when=FIRST_COMPLETED).done:
                    self._end(self.running.pop(future)[0], future)
                self.look()
                bar.n = bar.total - len(self.left)
                bar.set_postfix_str(self._time_left(engine.slots()))

    def _start(self, engine: Engine) -> None:
        """Start what the longest chain waits for; among those what was never timed, then what takes long."""
        stages, cells = self.seconds.of_stages(), self.seconds.of_cells()
        takes = lambda cell: cells.get(cell, stages.get(stage_of(cell), inf))  # noqa: E731
        self.ready.sort(key=lambda cell: (self.chains[cell], takes(cell)), reverse=True)
        while self.ready and len(self.running) < engine.slots():
            cell = self.ready.pop(0)
            if "@" not in cell:
                self.record.write()  # what works on all models may name dvc.lock
            future = engine.submit(Path.cwd(), cell, *self.record.begin(cell))
            self.running[future] = cell, time.monotonic()

    def _end(self, cell: str, future: Future[Ended]) -> None:
        if (error := future.exception()) and cell not in self.lost:
            self.lost.add(cell)
            self.ready.append(cell)
        elif error:
            self._fail(cell, f"its worker died: {first_line(error)}", LOST)
        elif (ended := future.result()).status:
            self._fail(cell, f"status {ended.status}", ended.status)
        else:
            try:
                self.record.finish(cell)
            except DvcException as error:  # it did not write what it should
                return self._fail(cell, first_line(error))
            self.seconds.add(cell, ended)
            self._done(cell)

    def _done(self, cell: str) -> None:
        self.left.remove(cell)
        self.sorter.done(cell)

    def _fail(self, cell: str, why: str, status: int = 1) -> None:
        self.failed[cell] = status
        for other in list(self.left):
            if other == cell or self.record.needs[other].intersection(self.out):
                self.left.remove(other)
                self.out.append(other)
        log = LOGS / f"{cell}.log"
        text = log.read_text(errors="replace") if log.exists() else "(it printed nothing)"
        lines = re.sub(r"[^\n]*\r", "", text).splitlines()[-LOG_LINES:]  # no progress that was overwritten
        tqdm.write("\n".join([f"{cell} failed ({why}):", *lines]), file=sys.stderr)

    def _time_left(self, slots: int) -> str:
        """How long the rest will take, as its stages took so far."""
        means, begun, now = self.seconds.of_stages(), dict(self.running.values()), time.monotonic()
        rest = [means.get(stage_of(cell), 0.0) - (now - begun.get(cell, now)) for cell in self.left]
        told = f"{tqdm.format_interval(sum(max(0.0, each) for each in rest) / slots)} left"
        unknown = sorted({stage_of(cell) for cell in self.left} - means.keys())
        return f"{told} and what is not timed yet: {', '.join(unknown)}" if unknown else told


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)
