"""What a Slurm job runs. It imports no more than that: it is started once for each job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.worker import Ended, processes


class Resumed:
    """Runs a job. Stopped by Slurm (preempted, or out of time) it is queued again."""

    def __call__(self, run: Path, job: str, command: str, inputs: str) -> Ended:
        # In a process of its own: the exit that follows the queueing must not look like that of the stage.
        with processes(1) as worker:
            return worker.submit(run, job, command, inputs).result()

    def checkpoint(self, *arguments: Any) -> Any:
        """What submitit queues again: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, *arguments)
