"""One run of a folder at a time, and mending what a killed one left in DVC's files.

DVC writes ``dvc.lock`` and its list of readers and writers in place. A process that is killed while it does
so leaves half a file, with which DVC refuses every later run.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipeline import files
from robustness.errors import UserError

LOCK = files.WORK / "run.lock"
KEPT = files.WORK / "dvc.lock"  # the last whole one
DAMAGED = files.WORK / "dvc.lock.damaged"
DVC_LOCK = Path("dvc.lock")
DVC_TEMPORARY = Path(".dvc/tmp")
PATIENCE = 10.0
"""Seconds that an earlier run's DVC is given to end: it notices only at the end of a stage that its run is
gone."""


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """Work in the folder ``run`` alone; its DVC files are mended first.

    The system frees the locks however a process ends, so that none is left behind. Raises UserError if
    another run, or another DVC command, is at work there.
    """
    place = run / LOCK
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("a+") as lock:
        if not _locked(lock, 0.0):
            raise UserError(
                f"{run}: {_who(lock, 'another run')} is at work here; wait for its end, or end it"
            )
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        _wait_for_dvc(run)
        for line in mend(run):
            print(line, flush=True)
        keep(run)
        try:
            yield
        finally:
            (run / KEPT).unlink(missing_ok=True)


def keep(run: Path) -> None:
    """Keep a copy of ``dvc.lock`` for the case that this run is killed while DVC writes it."""
    if _stages(run / DVC_LOCK) is not None:
        with files.whole(run / KEPT) as copy:
            copy.write_bytes((run / DVC_LOCK).read_bytes())


def mend(run: Path) -> list[str]:
    """Mend DVC's files in the folder ``run``, where nobody else is at work; a line for each damaged one."""
    return [*_mend_record(run), *_mend_readers(run)]


def _mend_record(run: Path) -> Iterator[str]:
    record = run / DVC_LOCK
    if not record.exists():
        return
    found, kept = _stages(record), _stages(run / KEPT)
    if found is not None and not (kept or set()) - found:
        return
    with files.whole(run / DAMAGED) as copy:
        copy.write_bytes(record.read_bytes())
    if kept is None:
        record.unlink()
    else:
        with files.whole(record) as copy:
            copy.write_bytes((run / KEPT).read_bytes())
    instead = "it is written anew" if kept is None else "the last whole one takes its place"
    yield f"{record}: damaged, as by a run that was killed; {instead}; it was moved to {run / DAMAGED}"


def _stages(record: Path) -> set[str] | None:
    """The stages that a ``dvc.lock`` knows; None for one that DVC would not take, or that is not there."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.serialize import ParseError, load_yaml
    from voluptuous import Invalid

    try:
        return set(COMPILED_LOCKFILE_SCHEMA(load_yaml(record)).get("stages", {}))
    except (FileNotFoundError, ParseError, Invalid):
        return None


def _mend_readers(run: Path) -> Iterator[str]:
    place = run / DVC_TEMPORARY / "rwlock"
    if not place.is_file():
        return
    # DVC itself passes over processes that are gone, but not over another one with the number of such a one.
    written = place.stat().st_mtime
    try:
        known = json.loads(place.read_text())
        processes = [*known.get("write", {}).values()]
        for readers in known.get("read", {}).values():
            processes += readers
        if any(_was_there(int(process["pid"]), written) for process in processes):
            return
    except (ValueError, TypeError, KeyError, AttributeError):
        yield f"{place}: damaged, as by a run that was killed; removed"
    place.unlink(missing_ok=True)


def _was_there(process: int, at: float) -> bool:
    import psutil

    try:
        return psutil.Process(process).create_time() <= at
    except psutil.NoSuchProcess:
        return False


def _wait_for_dvc(run: Path) -> None:
    place = run / DVC_TEMPORARY / "lock"
    if not place.exists():
        return
    with place.open("a+") as lock:
        if not _locked(lock, PATIENCE):
            who = _who(lock, "another DVC command")
            raise UserError(f"{run}: {who} is at work here; wait for its end, or end it")


def _locked(file: IO[str], patience: float) -> bool:
    """Lock an open file, trying for ``patience`` seconds; whether it worked."""
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.2)
        else:
            return True


def _who(lock: IO[str], what: str) -> str:
    lock.seek(0)
    number = lock.read(32).strip()
    return f"{what} (process {number})" if number else what
