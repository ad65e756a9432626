"""Curves that differ in one axis (front-end, training, data), a panel a factor, named in the legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.lines import Line2D

from robustness.report.curve import Curve, Line
from robustness.report.palette import FRONTENDS, SHARE_LINES, TRAININGS
from robustness.report.plots import style


@dataclass(frozen=True)
class LinePanel:
    """One panel: title, axis label, and curves by the name that the legend gives them."""

    title: str
    x_label: str
    curves: Mapping[str, Curve | Line]
    chance: float | None = None


def line_panels(path: Path, panels: Sequence[LinePanel], colours: Mapping[str, str], y_label: str) -> None:
    """Draw the panels side by side on one scale; ``colours`` by curve name."""
    names = [name for name in colours if any(name in panel.curves for panel in panels)]
    with style.figure(path, style.PAGE_WIDTH, 2.35) as figure:
        grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(grid, panels, strict=True):
            for name in names:
                if name in panel.curves:
                    _line(axes, panel.curves[name], name, colours[name])
            axes.set_title(panel.title)
            axes.set_xlabel(panel.x_label)
            if panel.chance is not None:
                style.chance_line(axes, panel.chance)
        style.percent_axis(grid[0], y_label)
        figure.legend(
            handles=[Line2D([], [], label=name, **_look(name, colours[name])) for name in names],
            loc="outside upper center",
            ncols=6,
            handlelength=3.5,
        )


def _line(axes, curve: Curve | Line, name: str, colour: str) -> None:
    low, high = [100 * s.low for s in curve.scores], [100 * s.high for s in curve.scores]
    axes.fill_between(curve.levels, low, high, color=colour, alpha=0.13, linewidth=0, zorder=2)
    axes.plot(curve.levels, [100 * s.value for s in curve.scores], zorder=3, **_look(name, colour))


def _look(name: str, colour: str) -> dict[str, object]:
    return {
        "color": colour,
        "linestyle": (FRONTENDS | SHARE_LINES).get(name, "-"),
        "marker": "o",
        "fillstyle": TRAININGS.get(name, "full"),
        "markerfacecoloralt": "white",
        "markersize": 3,
    }
