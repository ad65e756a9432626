"""Values with intervals, one labelled row each, a panel a quantity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.collections import LineCollection

from robustness.report.inputs import Score
from robustness.report.model_table import Model
from robustness.report.palette import CHANCE, Look
from robustness.report.plots import style


@dataclass(frozen=True)
class Row:
    """A row: its label, its look, and its group (a gap stands between groups)."""

    label: str
    look: Look
    group: str


@dataclass(frozen=True)
class DotPanel:
    """One panel: its axis label and a score a row (None: nothing measured). Fractions, drawn times 100.

    ``marks`` are values (fractions) at which a thin line stands, with the words above it.
    """

    label: str
    scores: Sequence[Score | None]
    marks: Sequence[tuple[float, str]] = ()
    limits: tuple[float, float] | None = None


def model_rows(models: Sequence[Model]) -> list[Row]:
    """A row a model under its own name, grouped by architecture."""
    return [Row(model.name, model.look, model.architecture) for model in models]


def dot_rows(path: Path, rows: Sequence[Row], panels: Sequence[DotPanel]) -> None:
    """Draw the rows of all panels side by side, each value with its interval as a bar."""
    places = _places(rows)
    height = 0.55 + 0.125 * (max(places) + 1)
    with style.figure(path, style.PAGE_WIDTH, height) as figure:
        grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(grid, panels, strict=True):
            _draw(axes, panel, rows, places)
        grid[0].set_yticks(places, [row.label for row in rows])
        grid[0].set_ylim(max(places) + 0.8, min(places) - 0.8)
        for axes in grid:
            axes.tick_params(axis="y", length=0)


def _draw(axes, panel: DotPanel, rows: Sequence[Row], places: Sequence[float]) -> None:
    for value, word in panel.marks:
        axes.axvline(100 * value, color=CHANCE, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        axes.annotate(
            word,
            (100 * value, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 1),
            textcoords="offset points",
            fontsize=6,
            color="#555555",
            ha="center",
            va="bottom",
        )
    bars, colours = [], []
    for row, place, score in zip(rows, places, panel.scores, strict=True):
        if score is None:
            continue
        bars.append([(100 * score.low, place), (100 * score.high, place)])
        colours.append(row.look.colour)
        axes.plot([100 * score.value], [place], linestyle="none", zorder=3, **style.marker_style(row.look))
    axes.add_collection(LineCollection(bars, colors=colours, linewidths=1, zorder=2))
    axes.set_xlabel(panel.label)
    if panel.limits is not None:
        axes.set_xlim(*(100 * limit for limit in panel.limits))
    axes.grid(visible=False, axis="y")


def _places(rows: Sequence[Row]) -> list[float]:
    """Heights of the rows, with a gap between groups."""
    places, place = [], 0.0
    for index, row in enumerate(rows):
        if index:
            place += 1.0 if rows[index - 1].group == row.group else 1.4
        places.append(place)
    return places
