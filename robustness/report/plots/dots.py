"""Dot plots: values with their intervals, one labelled row each; scatter plots of pairs of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn.objects as so
from matplotlib.axes import Axes

from robustness.report.inputs import Score
from robustness.report.model_table import Model, families
from robustness.report.palette import CHANCE, FRONTEND_COLOURS, OTHER_FRONTEND
from robustness.report.plots import style

SIDE = 0.26
"""How far below another a series of one row is drawn at most, in rows."""


@dataclass(frozen=True)
class Row:
    """A row: its label, the model whose look it has, and its group (a gap stands between groups)."""

    label: str
    model: Model
    group: str


@dataclass(frozen=True)
class DotPanel:
    """One panel: its axis label and one score per row (None: not measured). Fractions, drawn times 100.

    ``marks`` are values (fractions) at which a thin line stands, with the words above it.
    """

    label: str
    scores: Sequence[Score | None]
    marks: Sequence[tuple[float, str]] = ()
    limits: tuple[float, float] | None = None


def model_rows(models: Sequence[Model]) -> list[Row]:
    """One row per model under its own name, grouped by architecture."""
    return [Row(model.name, model, model.architecture) for model in models]


def dot_rows(path: Path, rows: Sequence[Row], panels: Sequence[DotPanel]) -> None:
    """Draw the rows of all panels side by side, each value with its interval as a bar."""
    gaps = [1.0 if a.group == b.group else 1.4 for a, b in pairwise(rows)]
    places = np.cumsum([0.0, *gaps])
    table = pd.DataFrame(
        [
            (
                panel.label,
                place,
                100 * s.value,
                100 * s.low,
                100 * s.high,
                row.model.family,
                row.model.training,
            )
            for panel in panels
            for row, place, s in zip(rows, places, panel.scores, strict=True)
            if s is not None
        ],
        columns=["panel", "place", "value", "low", "high", "family", "training"],
    )
    plot = so.Plot(table, x="value", y="place", color="family").facet(col="panel").share(x=False)
    plot = plot.scale(fill={each: each == "canonical" for each in table["training"].unique()},
                      **_scales([row.model for row in rows]))  # fmt: skip
    plot = plot.add(so.Range(linewidth=1), xmin="low", xmax="high", orient="y", legend=False)
    plot = plot.add(so.Dot(pointsize=3.5), marker="family", fill="training", legend=False)
    with style.figure(path, style.PAGE_WIDTH, 0.55 + 0.125 * (places[-1] + 1)) as figure:
        grid = style.draw(plot, figure)
        for axes, panel in zip(grid, (p for p in panels if p.label in set(table["panel"])), strict=True):
            _mark(axes, panel.marks)
            axes.set(title="", xlabel=panel.label)
            if panel.limits is not None:
                axes.set_xlim(*(100 * limit for limit in panel.limits))
            axes.grid(visible=False, axis="y")
            axes.tick_params(axis="y", length=0)
        grid[0].set_yticks(places, [row.label for row in rows])
        grid[0].set_ylim(places[-1] + 0.8, -0.8)


def _mark(axes: Axes, marks: Sequence[tuple[float, str]]) -> None:
    """Dotted lines at fractions, with words above."""
    for value, words in marks:
        axes.axvline(100 * value, color=CHANCE, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        axes.annotate(words, (100 * value, 1), xycoords=("data", "axes fraction"), xytext=(0, 1),
                      textcoords="offset points", fontsize=6, color="#555555", ha="center",
                      va="bottom")  # fmt: skip


def pair_rows(
    path: Path,
    rows: Sequence[str],
    panels: Mapping[str, Mapping[str, Sequence[Score | None]]],
    looks: Mapping[str, tuple[str, str]] | None = None,
    marks: Mapping[str, Sequence[tuple[float, str]]] | None = None,
) -> None:
    """One row per label, the series of each beside each other; fractions, drawn times 100.

    ``panels``: axis label → series → one score per row; ``looks``: series → (colour, marker); without them
    the series are front-ends. ``marks``: axis label → (value, words) of lines.
    """
    series = list(dict.fromkeys(name for scores in panels.values() for name in scores))
    looks = looks or {name: (FRONTEND_COLOURS.get(name, OTHER_FRONTEND[0]), "o") for name in series}
    side = min(SIDE, 0.8 / len(series))
    table = pd.DataFrame(
        [
            (label, name, place + side * number, 100 * s.value, 100 * s.low, 100 * s.high)
            for label, scores in panels.items()
            for number, (name, own) in enumerate(scores.items())
            for place, s in enumerate(own)
            if s is not None
        ],
        columns=["panel", "series", "place", "value", "low", "high"],
    )
    plot = so.Plot(table, x="value", y="place", color="series").facet(col="panel").share(x=False)
    colours, markers = ({name: look[part] for name, look in looks.items()} for part in (0, 1))
    plot = plot.scale(color=colours, marker=markers)
    plot = plot.add(so.Range(linewidth=0.9), xmin="low", xmax="high", orient="y", legend=False)
    plot = plot.add(so.Dot(pointsize=3.2), marker="series", legend=False)
    middle = side * (len(series) - 1) / 2
    with style.figure(path, style.PAGE_WIDTH, 0.75 + 0.1 * max(2, len(series)) * len(rows)) as figure:
        grid = style.draw(plot, figure)
        for axes, label in zip(grid, panels, strict=True):
            axes.set(title="", xlabel=label)
            axes.grid(visible=False, axis="y")
            axes.tick_params(axis="y", length=0)
            _mark(axes, (marks or {}).get(label, ()))
        grid[0].set_yticks([place + middle for place in range(len(rows))], rows)
        grid[0].set_ylim(len(rows) - 0.5 + middle, middle - 0.5)
        entries = {n: {"color": colours[n], "marker": markers[n], "linestyle": "none"} for n in looks}
        style.legend(figure, entries)


def scatters(
    path: Path,
    table: pd.DataFrame,
    models: Sequence[Model],
    lines: Mapping[str, tuple[float, float]] | None = None,
) -> None:
    """Scatter plots three abreast, one point per model in its family's look; open: not the learned stem.

    ``table``: columns pair (one panel each), title, x_label, y_label, model, x, y. ``lines``: pair → slope
    and intercept of a line through its panel.
    """
    known = {model.name: model for model in models if (table["model"] == model.name).any()}
    models = list(known.values())
    table = table.assign(
        family=[known[name].family for name in table["model"]],
        stem=["learned" if known[name].frontend == "learned" else "other" for name in table["model"]],
    )
    panels = table.drop_duplicates("pair")
    plot = so.Plot(table, x="x", y="y", color="family", marker="family", fill="stem")
    plot = plot.facet(col="pair", wrap=min(3, len(panels))).share(x=False, y=False)
    plot = plot.scale(fill={"learned": True, "other": False}, **_scales(models))
    plot = plot.add(so.Dot(pointsize=3.5), legend=False)
    entries = families(models)
    height = 0.2 + 0.16 * -(-len(entries) // 6) + 1.95 * -(-len(panels) // 3)
    with style.figure(path, style.PAGE_WIDTH, height) as figure:
        for axes, panel in zip(style.draw(plot, figure), panels.itertuples(), strict=True):
            axes.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label)
            if lines is not None:
                slope, intercept = lines[panel.pair]
                ends = np.array(axes.get_xlim())
                axes.plot(ends, intercept + slope * ends, color=CHANCE, linewidth=0.7, zorder=1)
                axes.set_xlim(*ends)
            for axis in (axes.xaxis, axes.yaxis):  # seaborn hides those of inner panels
                axis.label.set_visible(True)
        style.legend(figure, entries)


def _scales(models: Sequence[Model]) -> dict[str, dict[str, str]]:
    return {
        "color": {model.family: model.look.colour for model in models},
        "marker": {model.family: model.look.marker for model in models},
    }
