"""A run's stages as DVC has them: what each depends on, which have to run, and how they are recorded.

A cell is recorded in memory when it ends, and in dvc.lock with others: DVC parses and writes the whole file
each time, seconds for a hundred cells. A kill in between loses nothing: a cell leaves a stamp that names its
inputs, and the next run records what it finds so marked.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx
from dvc.dependency.param import MissingParamsError, ParamsDependency
from dvc.dvcfile import Lockfile
from dvc.exceptions import CheckoutError
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.stage.serialize import to_single_stage_lockfile
from dvc_data.hashfile.hash_info import HashInfo

from pipeline import files
from pipeline.worker import Ended, Order
from robustness.errors import UserError

if TYPE_CHECKING:
    from dvc.dependency import Dependency
    from dvc.output import Output

DVC_LOCK = Path("dvc.lock")
LOGS = files.WORK / "logs"
STAMPS = files.WORK / "ended"


@contextmanager
def opened(run: Path) -> Iterator[Record]:
    """The record of the run in a folder, locked against other runs and other DVC commands.

    The system frees DVC's lock however a process ends. Raises UserError if it is taken.
    """
    logging.getLogger("dvc").setLevel(logging.WARNING)  # it would tell of every record what might be pushed
    with chdir(run), Repo() as repo:  # DVC names a stage's files from the folder that it is called in
        try:
            repo.lock.lock()
        except LockError:
            number = Path(repo.lock.lockfile).read_text().strip()
            who = f"another run or DVC command (process {number})"
            raise UserError(f"{run}: {who} is at work here; wait for its end, or end it") from None
        try:
            yield Record(repo)
        finally:
            repo.lock.unlock()


class Record:
    """The stages of one run."""

    def __init__(self, repo: Repo) -> None:
        graph = repo.index.graph
        place = {stage: number for number, stage in enumerate(repo.index.stages)}
        order = nx.lexicographical_topological_sort(graph.reverse(), key=place.__getitem__)
        self.stages: dict[str, Any] = {stage.addressing: stage for stage in order}
        # What each needs; those that are needed stand first.
        self.needs = {
            cell: {need.addressing for need in graph.successors(stage)} for cell, stage in self.stages.items()
        }
        self._repo = repo
        self._inputs: dict[str, str] = {}
        self._unwritten: list[str] = []
        self._seen: dict[tuple[str, ...], tuple[Any, Any]] = {}
        self._params: dict[str, dict[str, Any]] = {}

    def is_done(self, cell: str) -> Ended | bool:
        """Whether there is nothing to run; how it ended where a run was killed before it recorded that."""
        stage = self.stages[cell]
        current = [(dep, *self._look_at(dep)) for dep in stage.deps]
        same = all(dep.hash_info == now for dep, _, now in current)
        same = same and not (stage.changed_stage() or stage.is_callback or stage.always_changed)
        if stage.frozen or (same and all(_is_there(out) or _is_fetched(out) for out in stage.outs)):
            return True
        for dep, meta, now in current:
            dep.meta, dep.hash_info = meta, now
        entry = to_single_stage_lockfile(stage)
        named = json.dumps({key: entry.get(key) for key in ("cmd", "deps", "params")}, sort_keys=True)
        self._inputs[cell] = hashlib.sha256(named.encode()).hexdigest()
        words = (STAMPS / cell).read_text().split() if (STAMPS / cell).exists() else [""]
        if words[0] != self._inputs[cell] or not all(out.exists for out in stage.outs):
            return False
        self.finish(cell)
        return Ended(0, float(words[1]), float(words[2]))

    def order(self, cell: str) -> Order:
        """What a worker needs to run the cell, whose earlier outputs are removed."""
        (STAMPS / cell).unlink(missing_ok=True)
        for out in self.stages[cell].outs:
            if not out.persist:
                out.remove()
        return Order(
            cell,
            self.stages[cell].cmd,
            run=Path.cwd(),
            log=(LOGS / f"{cell}.log").absolute(),
            stamp=(STAMPS / cell).absolute(),
            inputs=self._inputs[cell],
        )

    def finish(self, cell: str) -> None:
        """Bring the outputs of a cell that ended into the cache; raises DvcException if one is not there.

        Its dependencies count as they were when it started, should they have changed meanwhile.
        """
        stage = self.stages[cell]
        stage.save_outs()
        for out in stage.outs:
            out.commit(relink=False)
        stage.cmd_changed = False
        self._unwritten.append(cell)

    def write(self) -> None:
        """Record what was finished in dvc.lock, which is whole at every moment."""
        if not self._unwritten:
            return
        with files.whole(DVC_LOCK.absolute()) as copy:
            if DVC_LOCK.exists():
                shutil.copyfile(DVC_LOCK, copy)
            Lockfile(self._repo, str(copy)).dump_stages([self.stages[cell] for cell in self._unwritten])
        for cell in self._unwritten:
            (STAMPS / cell).unlink(missing_ok=True)
        self._unwritten.clear()

    def _look_at(self, dep: Dependency) -> tuple[Any, Any]:
        """What it holds now. Looked at once a run: workers import code once, and what stages make is looked
        at when it is made."""
        place = (dep.fs_path, *getattr(dep, "params", ()))
        if place not in self._seen:
            if not dep.exists:
                raise dep.DoesNotExistError(dep)
            if len(place) > 1:
                self._seen[place] = (dep.meta, HashInfo("params", self._read(dep)))
            else:
                self._seen[place] = (dep.get_meta(), dep.get_hash())
        return self._seen[place]

    def _read(self, dep: ParamsDependency) -> dict[str, Any]:
        """The parameters of a stage; the file is parsed once for all stages, not by each."""
        if dep.fs_path not in self._params:
            deps = [other for stage in self.stages.values() for other in stage.params]
            every = {name for other in deps if other.fs_path == dep.fs_path for name in other.params}
            self._params[dep.fs_path] = type(dep)(dep.stage, dep.fs_path, sorted(every)).read_params()
        found = self._params[dep.fs_path]
        if missing := [name for name in dep.params if name not in found]:
            raise MissingParamsError(f"{dep}: has no {', '.join(missing)}")
        return {name: found[name] for name in dep.params}


def _is_there(out: Output) -> bool:
    return bool(out.exists and out.hash_info and out.get_hash() == out.hash_info)


def _is_fetched(out: Output) -> bool:
    """Whether an output that is gone could be brought back from the cache."""
    if not (out.use_cache and out.hash_info):
        return False
    try:
        out.checkout(force=True)
    except CheckoutError:
        return False
    return _is_there(out)
