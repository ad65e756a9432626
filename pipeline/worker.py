"""What runs jobs: processes that stay, so that what one job imported is there for the next."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import runpy
import shlex
import signal
import subprocess
import sys
import time
import traceback
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import NamedTuple

LOGS = Path("data/work/logs")
STAMPS = Path("data/work/ended")


class Ended(NamedTuple):
    """How a job ended."""

    status: int
    seconds: float
    cpu_seconds: float


class Processes:
    """The engine on this machine. Each worker is a pool of its own: one that dies takes no other along."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._pools: dict[Future[Ended], ProcessPoolExecutor] = {}  # by the last job of each

    def slots(self) -> int:
        return self._at_once

    def submit(self, run: Path, job: str, command: str, inputs: str) -> Future[Ended]:
        last = next((last for last in self._pools if last.done()), None)
        pool = self._pools.pop(last) if last else None
        if pool is None or last.exception():
            # Not forked: the libraries that this process has loaded keep threads and locks.
            context = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(1, context, initializer=_die_with_parent)
        # A worker is started with Ctrl-C blocked: the run is interrupted, and ends its workers.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            future = pool.submit(run_job, run, job, command, inputs)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        self._pools[future] = pool
        return future

    def close(self) -> None:
        """Kill the workers, in the midst of their jobs or not."""
        for process in multiprocessing.active_children():
            process.kill()
        for pool in self._pools.values():
            pool.shutdown()


def processes(at_once: int) -> AbstractContextManager[Processes]:
    """The engine that runs ``at_once`` jobs at once on this machine; its workers end with it."""
    return closing(Processes(at_once))


def _die_with_parent() -> None:
    """Let the system (Linux) kill this process when its parent ends, so that no orphan writes on."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != multiprocessing.parent_process().pid:
            os._exit(1)  # it ended before the system knew


def run_job(run: Path, job: str, command: str, inputs: str) -> Ended:
    """Run a job's command in the run's folder, its output in its log.

    If it succeeds, a stamp says so before anybody else knows. It holds ``inputs``, which names the
    command and the contents of all that the job depends on when it starts.
    """
    os.chdir(run)
    for folder in (LOGS, STAMPS):
        folder.mkdir(parents=True, exist_ok=True)
    with (LOGS / f"{job}.log").open("w") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    start, start_cpu = time.perf_counter(), sum(os.times()[:4])  # with that of processes that it starts
    status = _status(command)
    if status == 0:
        (STAMPS / job).write_text(inputs)  # cut short, it names nothing
    return Ended(status, time.perf_counter() - start, sum(os.times()[:4]) - start_cpu)


def _status(command: str) -> int:
    words = shlex.split(command)
    if words[:2] != ["python", "-m"]:
        return subprocess.run(["sh", "-c", command], check=False).returncode
    if sys.path[0] != os.getcwd():
        sys.path.insert(0, os.getcwd())
    sys.argv = words[2:]
    try:
        runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    except BaseException as error:
        if isinstance(error, SystemExit) and isinstance(error.code or 0, int):
            return error.code or 0
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        gc.collect()
        if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
            sys.modules["torch"].cuda.empty_cache()  # an idle worker's memory is another one's need
    return 0
