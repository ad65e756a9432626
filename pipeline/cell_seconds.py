"""How long cells took, and what that says of those to come. Kept in ``data/work/cell_seconds.csv``."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from pipeline import files
from pipeline.worker import Ended

SECONDS = files.WORK / "cell_seconds.csv"


def stage_of(cell: str) -> str:
    """The stage that a cell belongs to: ``train`` of ``train@resnet18``."""
    return cell.split("@")[0]


class CellSeconds:
    """The seconds of the cells of a run and of earlier ones in its folder; a cell's last row counts."""

    def __init__(self) -> None:
        kinds = {"cell": str, "stage": str, "seconds": float, "cpu_seconds": float}
        found = pd.read_csv(SECONDS) if SECONDS.exists() else pd.DataFrame(columns=[*kinds])
        self._rows = found.astype(kinds)
        self._earlier = len(self._rows)

    def add(self, cell: str, ended: Ended) -> None:
        """Keep the seconds of a cell that this run finished."""
        self._rows.loc[len(self._rows)] = [cell, stage_of(cell), ended.seconds, ended.cpu_seconds]
        SECONDS.parent.mkdir(parents=True, exist_ok=True)
        self._rows[-1:].to_csv(
            SECONDS, mode="a", header=not SECONDS.exists(), index=False, float_format="%.2f"
        )

    def of_stages(self) -> dict[str, float]:
        """The mean of each stage in this run; before one of its cells is finished, that of earlier runs."""
        parts = (self._rows[: self._earlier], self._rows[self._earlier :])
        earlier, now = (part.groupby("stage")["seconds"].mean() for part in parts)
        return earlier.to_dict() | now.to_dict()

    def of_cells(self) -> dict[str, float]:
        """What each cell took the last time."""
        return self._rows.set_index("cell")["seconds"].to_dict()

    def table(self, cells: Iterable[str]) -> str:
        """One line per stage: its cells, their minutes of wall and of processor time in all."""
        rows = self._rows.drop_duplicates("cell", keep="last").set_index("cell").reindex(cells).dropna()
        groups = rows.groupby("stage", sort=False)[["seconds", "cpu_seconds"]]
        minutes = (groups.sum() / 60).set_axis(["minutes", "CPU minutes"], axis=1)
        minutes.insert(0, "cells", groups.size())
        return minutes.reset_index().to_string(index=False, float_format="{:.1f}".format)
