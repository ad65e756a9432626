"""Slurm as the engine of ``jobs``, through submitit: a Slurm job for each job.

Partition, account and time limit are those that sbatch reads from its environment (``SBATCH_PARTITION``,
``SBATCH_ACCOUNT``, ``SBATCH_TIMELIMIT``). The machines share the run's folder and the checkout.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pipeline.jobs import first_line
from pipeline.slurm_worker import Resumed
from pipeline.worker import Ended
from robustness.errors import UserError

FOLDER = Path("data/work/slurm")
"""Where submitit keeps what it sends and what comes back, in the run's folder."""
AT_ONCE = 64
MINUTES = 240  # after which a job is stopped and queued again, unless SBATCH_TIMELIMIT says otherwise
TIMEOUTS = 100  # of a job: its stage goes on from its last epoch, so that any number does


class Queue:
    """The engine; ``executor``: submitit's, which sends at most ``at_once`` jobs."""

    def __init__(self, executor: Any, at_once: int) -> None:
        self._executor, self._at_once = executor, at_once
        self._sent: dict[Future[Ended], Any] = {}
        self._closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def slots(self) -> int:
        return self._at_once

    def submit(self, run: Path, job: str, command: str, inputs: str) -> Future[Ended]:
        self._executor.update_parameters(name=job)
        try:
            sent = self._executor.submit(Resumed(), run, job, command, inputs)
        except Exception as error:  # what sbatch says, as submitit hands it on
            raise UserError(f"Slurm: {job} was not taken: {first_line(error)}") from error
        future: Future[Ended] = Future()
        self._sent[future] = sent
        return future

    def _watch(self) -> None:
        while not self._closed.wait(1.0):
            for future, sent in list(self._sent.items()):
                if sent.done():
                    del self._sent[future]
                    try:
                        future.set_result(sent.result())
                    except Exception as error:  # it left no result: killed
                        future.set_exception(error)

    def close(self) -> None:
        """Cancel what was sent and has not ended."""
        self._closed.set()
        for sent in self._sent.values():
            sent.cancel(check=False)


@contextmanager
def queue(
    folder: Path,
    *,
    threads: int | None,
    device: str,
    at_once: int = 0,
    gpus_per_job: float | None = None,
    cluster: str = "slurm",
) -> Iterator[Queue]:
    """Slurm's queue; ``folder``: the run's, which all machines see. ``at_once``: 0 for ``AT_ONCE``.

    A job asks for ``threads`` cores and ``gpus_per_job`` GPUs (None: one if ``device`` is CUDA, else none).
    ``cluster``: ``local`` runs the jobs on this machine, for tests. Raises UserError if submitit or Slurm is
    missing, and for a request that Slurm does not know.
    """
    if threads is None:
        raise UserError("--engine slurm: a job asks for a number of cores; set threads in params.yaml")
    gpus = (1 if device.startswith("cuda") else 0) if gpus_per_job is None else gpus_per_job
    if gpus != int(gpus) or gpus < 0:
        raise UserError(f"--gpus-per-job {gpus:g}: Slurm gives whole GPUs; use 0, 1, …")
    try:
        from submitit import AutoExecutor
    except ImportError:
        raise UserError(
            "--engine slurm: submitit is missing; .venv/bin/pip install -e '.[slurm]', or leave ENGINE out"
        ) from None
    try:
        executor = AutoExecutor(folder.resolve() / FOLDER, cluster=cluster, slurm_max_num_timeout=TIMEOUTS)
    except RuntimeError as error:  # there is no sbatch here
        raise UserError(f"Slurm: {first_line(error)}") from error
    executor.update_parameters(timeout_min=MINUTES, cpus_per_task=threads, gpus_per_node=int(gpus))
    with closing(Queue(executor, at_once or AT_ONCE)) as started:
        yield started
