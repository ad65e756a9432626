"""How long jobs took, and what that says of those to come. Kept in ``data/work/job_seconds.csv``."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from pipeline import files
from pipeline.worker import Ended

SECONDS = files.WORK / "job_seconds.csv"


def stage_of(job: str) -> str:
    """The stage that a job belongs to: ``train`` of ``train@resnet18``."""
    return job.split("@")[0]


class JobSeconds:
    """The seconds of the jobs of a run and of earlier ones in its folder; a job's last row counts."""

    def __init__(self) -> None:
        kinds = {"job": str, "stage": str, "seconds": float, "cpu_seconds": float}
        found = pd.read_csv(SECONDS) if SECONDS.exists() else pd.DataFrame(columns=[*kinds])
        self._rows = found.astype(kinds)
        self._earlier = len(self._rows)

    def add(self, job: str, ended: Ended) -> None:
        """Keep the seconds of a job that this run finished."""
        self._rows.loc[len(self._rows)] = [job, stage_of(job), ended.seconds, ended.cpu_seconds]
        SECONDS.parent.mkdir(parents=True, exist_ok=True)
        self._rows[-1:].to_csv(
            SECONDS, mode="a", header=not SECONDS.exists(), index=False, float_format="%.2f"
        )

    def of_stages(self) -> dict[str, float]:
        """The mean of each stage in this run; before one of its jobs is finished, that of earlier runs."""
        parts = (self._rows[: self._earlier], self._rows[self._earlier :])
        earlier, now = (part.groupby("stage")["seconds"].mean() for part in parts)
        return earlier.to_dict() | now.to_dict()

    def of_jobs(self) -> dict[str, float]:
        """What each job took the last time."""
        return self._rows.set_index("job")["seconds"].to_dict()

    def table(self, jobs: Iterable[str]) -> str:
        """One line per stage: its jobs, their minutes of wall and of processor time in all."""
        rows = self._rows.drop_duplicates("job", keep="last").set_index("job").reindex(jobs).dropna()
        groups = rows.groupby("stage", sort=False)[["seconds", "cpu_seconds"]]
        minutes = (groups.sum() / 60).set_axis(["minutes", "CPU minutes"], axis=1)
        minutes.insert(0, "jobs", groups.size())
        return minutes.reset_index().to_string(index=False, float_format="{:.1f}".format)
