"""Cells that start with everything imported: a process imports once, and is forked for each cell.

Importing torch, timm, scikit-learn and foolbox takes some five seconds, as long as many cells work. The
process that is forked has imported only: it computes nothing and starts no thread, so a cell starts as one of
its own does, and is as separate from the others.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from multiprocessing.context import BaseContext
from pathlib import Path

METHOD = "forkserver"
PREFIX = ["python", "-m"]
IMPORTS = ["pipeline.cell_imports"]


def can_start(command: list[str]) -> bool:
    """Whether this system can start that command so: ``python -m`` and a module of the pipeline."""
    is_ours = command[:2] == PREFIX and command[2:3] != [] and command[2].startswith("pipeline.")
    return is_ours and METHOD in multiprocessing.get_all_start_methods()


def context() -> BaseContext:
    """What starts processes; the first one waits for the imports."""
    made = multiprocessing.get_context(METHOD)
    made.set_forkserver_preload(IMPORTS)
    return made


def run(command: list[str], folder: Path, log: Path, environment: dict[str, str]) -> int:
    """Run a command that :func:`can_start` in a folder, its output in `log`; the exit status, below 0 for a
    signal."""
    process = context().Process(
        target=_in_the_fork, args=(command[2], command[3:], str(folder), str(log), environment)
    )
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _in_the_fork(
    module: str, arguments: list[str], folder: str, log: str, environment: dict[str, str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for stream in (1, 2):
        os.dup2(out, stream)
    os.close(out)
    sys.argv = [module, *arguments]
    sys.modules.pop(module, None)  # imported before; it must run anew, as the main module
    runpy.run_module(module, run_name="__main__", alter_sys=True)
