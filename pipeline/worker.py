"""What runs a cell: a process that stays, so that what one cell imported is there for the next.

Imports the standard library alone: numerical libraries settle how many threads they use when imported.
"""

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
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True)
class Order:
    """A cell to run: its command, the run's folder, its log, and where to leave word that it is done."""

    cell: str
    command: str
    run: Path
    log: Path
    stamp: Path
    inputs: str
    """Names the command and the contents of all that the cell depends on when it starts."""


class Ended(NamedTuple):
    """How a cell ended."""

    status: int
    seconds: float
    cpu_seconds: float


def start(run: Path) -> None:
    """Make this process a worker for the run in a folder; it dies with the process that started it."""
    die_with_parent()
    parent = multiprocessing.parent_process()
    if parent and os.getppid() != parent.pid:
        os._exit(1)  # it ended before the system knew
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    sys.path.insert(0, str(run))


def die_with_parent() -> None:
    """Let the system (Linux) kill this process when its parent ends, so that no orphan writes on."""
    if sys.platform == "linux":
        set_death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def run_cell(order: Order) -> Ended:
    """Run a cell, its output in its log. If it succeeds, the stamp says so before anybody else knows."""
    os.chdir(order.run)
    order.log.parent.mkdir(parents=True, exist_ok=True)
    out = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for stream in (1, 2):
        os.dup2(out, stream)
    os.close(out)
    start, start_cpu = time.perf_counter(), sum(os.times()[:4])  # with that of processes that it starts
    status = _status(order.command)
    ended = Ended(status, time.perf_counter() - start, sum(os.times()[:4]) - start_cpu)
    if status == 0:
        order.stamp.parent.mkdir(parents=True, exist_ok=True)
        partial = order.stamp.with_suffix(".partial")
        partial.write_text(f"{order.inputs} {ended.seconds:.2f} {ended.cpu_seconds:.2f}\n")
        partial.replace(order.stamp)
    return ended


def run_cell_in_ray(order: Order, threads_of_caller: str | None) -> Ended:
    """As :func:`run_cell`, in a worker of Ray's."""
    # Ray sets OMP_NUM_THREADS. Results must not depend on who runs a cell: back to what the caller has.
    os.environ.pop("OMP_NUM_THREADS", None)
    if threads_of_caller is not None:
        os.environ["OMP_NUM_THREADS"] = threads_of_caller
    sys.path.insert(0, str(order.run))
    return run_cell(order)


def _status(command: str) -> int:
    words = shlex.split(command)
    if words[:2] != ["python", "-m"]:
        return subprocess.run(words, check=False, preexec_fn=die_with_parent).returncode
    sys.argv = words[2:]
    sys.modules.pop(words[2], None)  # it runs anew, as the main module
    try:
        runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        gc.collect()
        if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
            sys.modules["torch"].cuda.empty_cache()  # an idle worker's memory is another one's need
    return 0
