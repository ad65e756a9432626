"""Starts stages of a tiny run in processes that can be killed, and kills them where they touch the disk.

Imports take longer than the stages: a process that has everything imported forks one a stage. A kill by
steps is the same on every machine: step n is the n-th time that the stage opens, makes, renames or removes
something in its folder.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[1]
TOUCHES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.copyfile", "sqlite3.connect")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Ended:
    """How a stage ended: its exit status (negative: the signal), and the steps that it took."""

    status: int
    steps: int


class Launcher:
    """The process that starts stages; use as a context manager."""

    def __init__(self, temporary: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve())],
            env=environment | {"TMPDIR": str(temporary), "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, stage: str, folder: Path, *, kill_at_step: int = 0) -> Ended:
        """Run a stage in a folder to its end, or to a step."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{stage}\t{folder}\t{kill_at_step}\n")
        self._process.stdin.flush()
        status, steps = self._process.stdout.readline().split()
        return Ended(int(status), int(steps))

    def __enter__(self) -> Launcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()


class Steps:
    """Counts the steps of this process in the current folder, and ends it as if killed at one of them."""

    def __init__(self, kill_at: int, told: int) -> None:
        self._folder = os.getcwd()
        self._kill_at = kill_at
        self._told = told
        self._count = 0
        self._lock = threading.Lock()

    def __call__(self, event: str, arguments: tuple) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        if not (writes or event in TOUCHES) or not self._inside(arguments[0]):
            return
        with self._lock:
            self._count += 1
            os.pwrite(self._told, b"%d\n" % self._count, 0)
            if self._count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def _inside(self, place: object) -> bool:
        if not isinstance(place, (str, bytes, os.PathLike)):
            return False
        return os.path.abspath(os.fsdecode(place)).startswith(self._folder + os.sep)


def use_current_folder() -> None:
    """The class list, the installed library and the downloads are those of the current folder; the commit
    stays the same, whatever happens to the checkout meanwhile."""
    from pipeline import files, report, track
    from robustness.data.objects import fetch as library_fetch

    files.CLASS_LIST, files.DOWNLOADS = Path("classes.csv"), Path("cache")
    report.provenance = track.provenance = lambda *_: {"git_commit": "0123abcd"}
    library_fetch.INSTALLED = Path("installed")
    library_fetch.FILES = {
        path.name: (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in Path("installed").glob("*.sh3f")
    }


def main() -> None:
    """Do a stage for every line ``stage<tab>folder<tab>step`` of the input; tell its end."""
    # What a forked process would have to import anew.
    import tiny_run
    import torch

    import robustness.report.build  # noqa: F401
    from pipeline import stage

    torch.set_num_threads(1)
    told = os.memfd_create("steps")
    for line in sys.stdin:
        name, folder, step = line.rstrip("\n").split("\t")
        os.ftruncate(told, 0)
        number = os.fork()
        if number == 0:
            os.chdir(folder)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            use_current_folder()
            status = 1
            try:
                sys.addaudithook(Steps(int(step), told))
                stage.guard(lambda name=name: tiny_run.run_stage(name))
                status = 0
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        print(status, int(os.pread(told, 32, 0).split(b"\n")[0] or 0), flush=True)


if __name__ == "__main__":
    main()
