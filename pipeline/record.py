"""A run's stages as DVC has them: what each depends on, which have to run, and how they are recorded.

A job is recorded in memory when it ends, and in dvc.lock with all others at the end of the run: DVC parses
and writes the whole file each time, seconds for a hundred jobs. A kill in between loses nothing: a job
leaves a stamp that names its inputs, and the next run records what it finds so marked.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from dvc.dependency import Dependency
from dvc.dependency.param import MissingParamsError, ParamsDependency
from dvc.dvcfile import Lockfile
from dvc.exceptions import CheckoutError
from dvc.lock import LockError
from dvc.output import Output
from dvc.repo import Repo
from dvc.stage.serialize import to_single_stage_lockfile
from dvc.utils import dict_sha256

from pipeline.files import DVC_LOCK
from pipeline.worker import STAMPS
from robustness.errors import UserError
from robustness.whole_files import whole


@contextmanager
def opened(run: Path) -> Iterator[Record]:
    """The record of the run in a folder, locked against other runs and other DVC commands.

    The system frees DVC's lock however a process ends. Raises UserError if it is taken.
    """
    logging.getLogger("dvc").setLevel(logging.WARNING)  # it would tell of every record what might be pushed
    with chdir(run), Repo() as repo:  # DVC names a stage's files from the folder that it is called in
        try:
            with repo.lock:
                yield Record(repo)
        except LockError:
            number = Path(repo.lock.lockfile).read_text().strip()
            who = f"another run or DVC command (process {number})"
            raise UserError(f"{run}: {who} is at work here; wait for its end, or end it") from None


class Record:
    """The stages of one run."""

    def __init__(self, repo: Repo) -> None:
        self.stages: dict[str, Any] = {stage.addressing: stage for stage in repo.index.stages}
        for dep in (dep for stage in self.stages.values() for dep in stage.deps):
            if (
                dep.hash_name == "md5-dos2unix"
            ):  # DVC takes one that is new in a recorded stage for an old one
                dep.hash_name = "md5"
        graph = repo.index.graph
        needs = {
            job: {need.addressing for need in graph.successors(stage)} for job, stage in self.stages.items()
        }
        # What each needs; those that are needed stand first.
        self.needs = {job: needs[job] for job in TopologicalSorter(needs).static_order()}
        self._repo = repo
        self._inputs: dict[str, str] = {}
        self._unwritten: list[str] = []
        self._seen: dict[str, tuple[Any, Any]] = {}

    def is_done(self, job: str) -> bool:
        """Whether there is nothing to run: it is recorded, or it ended before a kill and is recorded now.

        Raises DvcException if a dependency that nothing makes is not there.
        """
        stage = self.stages[job]
        recorded = [dep.hash_info for dep in stage.deps]
        for dep in stage.deps:
            self._look_at(dep)
        same = recorded == [dep.hash_info for dep in stage.deps] and not stage.changed_stage()
        if same and all(_is_there(out) for out in stage.outs):
            return True
        entry = to_single_stage_lockfile(stage)
        self._inputs[job] = dict_sha256({key: entry.get(key) for key in ("cmd", "deps", "params")})
        stamp = STAMPS / job
        ended = stamp.exists() and stamp.read_text() == self._inputs[job]
        ended = ended and all(out.exists for out in stage.outs)
        if ended:
            self.finish(job)
        return ended

    def begin(self, job: str) -> tuple[str, str]:
        """Remove a job's earlier outputs; its command, and what names its inputs."""
        (STAMPS / job).unlink(missing_ok=True)
        for out in self.stages[job].outs:
            out.remove()
        return self.stages[job].cmd, self._inputs[job]

    def finish(self, job: str) -> None:
        """Bring the outputs of a job that ended into the cache; raises DvcException if one is not there.

        Its dependencies count as they were when it started, should they have changed meanwhile.
        """
        stage = self.stages[job]
        stage.save_outs()
        for out in stage.outs:
            out.commit(relink=False)
        stage.cmd_changed = False
        self._unwritten.append(job)

    def write(self) -> None:
        """Record what was finished in dvc.lock, which is whole at every moment."""
        if not self._unwritten:
            return
        with whole(DVC_LOCK.absolute()) as copy:
            if DVC_LOCK.exists():
                shutil.copyfile(DVC_LOCK, copy)
            Lockfile(self._repo, str(copy)).dump_stages([self.stages[job] for job in self._unwritten])
        for job in self._unwritten:
            (STAMPS / job).unlink(missing_ok=True)
        self._unwritten.clear()

    def _look_at(self, dep: Dependency) -> None:
        """Set a dependency to what it holds now. Looked at once a run: workers import code once, and what
        stages make is looked at when it is made."""
        if isinstance(dep, ParamsDependency):
            dep.fill_values(self._params[dep.fs_path])
            if missing := set(dep.params) - dep.hash_info.value.keys():
                raise MissingParamsError(f"{dep}: has no {', '.join(missing)}")
            return
        if dep.fs_path not in self._seen:
            dep.save()
            self._seen[dep.fs_path] = dep.meta, dep.hash_info
        dep.meta, dep.hash_info = self._seen[dep.fs_path]

    @cached_property
    def _params(self) -> dict[str, dict[str, Any]]:
        """File → its keys that stages read, with their values: each file is read once for all stages."""
        deps = [dep for stage in self.stages.values() for dep in stage.params]
        keys: dict[str, set[str]] = {}
        for dep in deps:
            keys.setdefault(dep.fs_path, set()).update(dep.params)
        return {path: ParamsDependency(deps[0].stage, path, sorted(found)).read_params()
                for path, found in keys.items()}  # fmt: skip


def _is_there(out: Output) -> bool:
    """Whether an output is as recorded, brought back from the cache if need be."""
    if out.hash_info and out.workspace_status():
        try:
            out.checkout(force=True)
        except CheckoutError:
            return False
    return not out.workspace_status()
