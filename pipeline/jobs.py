"""Run the jobs of a run that changed, several at once, and record them with DVC.

A job is a stage of dvc.yaml, or one model's part of it. ``dvc repro`` runs one after the other; here a job
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

from pipeline.job_seconds import JobSeconds, stage_of
from pipeline.record import Record, opened
from pipeline.worker import LOGS, Ended

LOG_LINES = 15
LOST = 1  # the status of a job whose worker died twice
BAR = "{percentage:3.0f}%|{bar:20}| {n_fmt}/{total_fmt} jobs [{elapsed}{postfix}]"  # no jobs × mean
LOOK_INTERVAL = 10.0  # seconds between two tellings of the time left while no job ends


class Engine(Protocol):
    """Where jobs run, ``slots`` at once. A future raises an exception if the worker under its job died."""

    def slots(self) -> int: ...

    def submit(self, run: Path, job: str, command: str, inputs: str) -> Future[Ended]: ...


def run_jobs(run: Path, engine: Callable[[], AbstractContextManager[Engine]]) -> int:
    """Bring the run in folder ``run`` up to date; ``engine`` starts one, and is called if a job has to run.

    Returns the exit status of the first job that failed, or 0. A failed job's log is shown; what depends on
    it is left out; all others finish. Raises UserError if another run is at work in the folder.
    """
    with opened(run) as record:
        jobs = _Jobs(record)
        try:
            jobs.look()
            if jobs.ready:
                counts = Counter(map(stage_of, jobs.left)).items()
                told = ", ".join(f"{count} {stage}" for stage, count in counts)
                print(f"{len(jobs.left)} jobs to do: {told}", flush=True)
                with engine() as started:
                    jobs.run(started)
                print(jobs.seconds.table(record.needs))
            elif not jobs.failed:
                print(f"nothing to do: {len(record.needs)} jobs are up to date")
        finally:
            record.write()
    if jobs.failed:
        left_out = [job for job in jobs.out if job not in jobs.failed]
        named = ", ".join(jobs.failed) + (f"; left out: {', '.join(left_out)}" if left_out else "")
        print(f"failed: {named}; the others are done and kept", file=sys.stderr)
    return next(iter(jobs.failed.values()), 0)


class _Jobs:
    """The jobs of one run: which are done, ready to run, at work, failed, or out because one failed."""

    def __init__(self, record: Record) -> None:
        self.record, self.seconds = record, JobSeconds()
        self.sorter = TopologicalSorter(record.needs)
        self.sorter.prepare()
        self.left = list(record.needs)
        self.chains = dict.fromkeys(record.needs, 0)  # the longest chain of jobs that wait for each
        for job in reversed(record.needs):
            for need in record.needs[job]:
                self.chains[need] = max(self.chains[need], 1 + self.chains[job])
        self.ready: list[str] = []
        self.running: dict[Future[Ended], tuple[str, float]] = {}
        self.lost: set[str] = set()
        self.failed: dict[str, int] = {}
        self.out: list[str] = []

    def look(self) -> None:
        """Find out which of the jobs that wait for no other have to run."""
        while free := self.sorter.get_ready():
            for job in free:
                try:
                    done = self.record.is_done(job)
                except DvcException as error:  # what it depends on is missing
                    self._fail(job, first_line(error))
                    continue
                self._done(job) if done else self.ready.append(job)

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
        stages, jobs = self.seconds.of_stages(), self.seconds.of_jobs()
        takes = lambda job: jobs.get(job, stages.get(stage_of(job), inf))  # noqa: E731
        self.ready.sort(key=lambda job: (self.chains[job], takes(job)), reverse=True)
        while self.ready and len(self.running) < engine.slots():
            job = self.ready.pop(0)
            if "@" not in job:
                self.record.write()  # what works on all models may name dvc.lock
            future = engine.submit(Path.cwd(), job, *self.record.begin(job))
            self.running[future] = job, time.monotonic()

    def _end(self, job: str, future: Future[Ended]) -> None:
        if (error := future.exception()) and job not in self.lost:
            self.lost.add(job)
            self.ready.append(job)
        elif error:
            self._fail(job, f"its worker died: {first_line(error)}", LOST)
        elif (ended := future.result()).status:
            self._fail(job, f"status {ended.status}", ended.status)
        else:
            try:
                self.record.finish(job)
            except DvcException as error:  # it did not write what it should
                return self._fail(job, first_line(error))
            self.seconds.add(job, ended)
            self._done(job)

    def _done(self, job: str) -> None:
        self.left.remove(job)
        self.sorter.done(job)

    def _fail(self, job: str, why: str, status: int = 1) -> None:
        self.failed[job] = status
        for other in list(self.left):
            if other == job or self.record.needs[other].intersection(self.out):
                self.left.remove(other)
                self.out.append(other)
        log = LOGS / f"{job}.log"
        text = log.read_text(errors="replace") if log.exists() else "(it printed nothing)"
        lines = re.sub(r"[^\n]*\r", "", text).splitlines()[-LOG_LINES:]  # no progress that was overwritten
        tqdm.write("\n".join([f"{job} failed ({why}):", *lines]), file=sys.stderr)

    def _time_left(self, slots: int) -> str:
        """How long the rest will take, as its stages took so far."""
        means, begun, now = self.seconds.of_stages(), dict(self.running.values()), time.monotonic()
        rest = [means.get(stage_of(job), 0.0) - (now - begun.get(job, now)) for job in self.left]
        told = f"{tqdm.format_interval(sum(max(0.0, each) for each in rest) / slots)} left"
        unknown = sorted({stage_of(job) for job in self.left} - means.keys())
        return f"{told} and what is not timed yet: {', '.join(unknown)}" if unknown else told


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)
