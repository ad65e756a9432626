"""How long cells took, and what that says of those to come. Kept in ``data/work/cell_seconds.csv``."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean

from pipeline.worker import Ended

COLUMNS = ("cell", "stage", "seconds", "cpu_seconds")


def stage_of(cell: str) -> str:
    """The stage that a cell belongs to: ``train`` of ``train@resnet18``."""
    return cell.split("@")[0]


def counted(cells: Iterable[str]) -> str:
    """How many cells of which stage: ``3 train, 1 report``."""
    return ", ".join(f"{count} {stage}" for stage, count in Counter(map(stage_of, cells)).items())


class CellSeconds:
    """The seconds of the cells of a run and of earlier ones in its folder."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.of: dict[str, tuple[float, float]] = {}
        self._now: set[str] = set()
        if place.exists():
            with place.open(newline="") as lines:
                for row in csv.reader(lines):
                    if row[0] != COLUMNS[0]:
                        self.of[row[0]] = (float(row[2]), float(row[3]))

    def add(self, cell: str, ended: Ended) -> None:
        """Keep the seconds of a cell that this run finished."""
        self.of[cell] = (ended.seconds, ended.cpu_seconds)
        self._now.add(cell)
        self._place.parent.mkdir(parents=True, exist_ok=True)
        row = (cell, stage_of(cell), f"{ended.seconds:.2f}", f"{ended.cpu_seconds:.2f}")
        with self._place.open("a", newline="") as lines:
            csv.writer(lines).writerows([row] if lines.tell() else [COLUMNS, row])

    def of_stage(self, cell: str) -> float | None:
        """The mean of the cell's stage in this run; before one is finished, that of an earlier run."""
        same = [other for other in self.of if stage_of(other) == stage_of(cell)]
        chosen = [other for other in same if other in self._now] or same
        return fmean(self.of[other][0] for other in chosen) if chosen else None

    def of_cell(self, cell: str) -> float | None:
        """What the cell took the last time; else the mean of its stage."""
        return self.of[cell][0] if cell in self.of else self.of_stage(cell)

    def table(self, cells: Iterable[str]) -> str:
        """A line a stage: its cells, their minutes of wall and of processor time in all."""
        lines = [f"{'stage':<16}{'cells':>6}{'minutes':>10}{'CPU minutes':>13}"]
        known = [cell for cell in cells if cell in self.of]
        for stage in dict.fromkeys(map(stage_of, known)):
            took = [self.of[cell] for cell in known if stage_of(cell) == stage]
            wall, cpu = (sum(column) / 60 for column in zip(*took, strict=True))
            lines.append(f"{stage:<16}{len(took):>6}{wall:>10.1f}{cpu:>13.1f}")
        return "\n".join(lines)
