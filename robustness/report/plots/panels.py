"""Curves with bands, one panel an architecture: what one family does, over the grey of all the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from robustness.report.curve import Curve
from robustness.report.model_table import Model
from robustness.report.palette import OTHERS
from robustness.report.plots import style


def curve_panels(
    path: Path,
    curves: Sequence[Curve],
    *,
    x_label: str,
    y_label: str,
    chance: float | None = None,
) -> None:
    """Draw the curves of each architecture in a panel of its own; all panels share their axes."""
    architectures = list(dict.fromkeys(curve.model.architecture for curve in curves))
    columns = _columns(len(architectures))
    rows = -(-len(architectures) // columns)
    whole = all(float(level).is_integer() for curve in curves for level in curve.levels if level >= 1)
    whole = whole and max(level for curve in curves for level in curve.levels) >= 4
    height = 0.45 + (1.7 if columns <= 3 else 1.25) * rows
    with style.figure(path, style.PAGE_WIDTH, height) as figure:
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for position, axes in enumerate(grid.flat):
            if position >= len(architectures):
                axes.set_visible(False)
                continue
            own = [curve for curve in curves if curve.model.architecture == architectures[position]]
            draw_panel(axes, own, curves)
            axes.set_title(
                architectures[position],
                color=own[0].model.look.colour,
                fontweight="bold",
                fontsize=7.5 if columns < 5 else 6.3,
            )
            if chance is not None:
                style.chance_line(axes, chance)
            below_is_empty = position + columns >= len(architectures)
            if below_is_empty:
                axes.tick_params(labelbottom=True)
            if whole:
                axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        style.percent_axis(grid[0, 0], "")
        figure.supxlabel(x_label, fontsize=7)
        figure.supylabel(y_label, fontsize=7)
        figure.legend(handles=legend_handles(curves), loc="outside upper center", ncols=6, handlelength=3.2)


def draw_panel(axes: Axes, own: Sequence[Curve], others: Sequence[Curve] = ()) -> None:
    """The curves ``own`` with their bands over ``others`` in grey."""
    lines = [
        [(level, 100 * score.value) for level, score in zip(curve.levels, curve.scores, strict=True)]
        for curve in others
        if curve not in own
    ]
    axes.add_collection(LineCollection(lines, colors=OTHERS, linewidths=0.4, zorder=1))
    for curve in own:
        look = curve.model.look
        values = [100 * score.value for score in curve.scores]
        low, high = [100 * s.low for s in curve.scores], [100 * s.high for s in curve.scores]
        axes.fill_between(curve.levels, low, high, color=look.colour, alpha=0.16, linewidth=0, zorder=2)
        axes.plot(curve.levels, values, linestyle=look.line, zorder=3, **style.marker_style(look))


def legend_handles(curves: Sequence[Curve]) -> list[Line2D]:
    """Line styles of the front-ends and faces of the trainings that are in the figure, in black."""
    handles = []
    for model in {curve.model.variant: curve.model for curve in curves}.values():
        look = model.look
        style_of = {**style.marker_style(look), "color": "black", "marker": "o", "markeredgecolor": "black"}
        handles.append(Line2D([], [], linestyle=look.line, label=model.variant, **style_of))
    if len({curve.model.architecture for curve in curves}) > 1:
        handles.append(Line2D([], [], color=OTHERS, linewidth=0.8, label="all other models"))
    return handles


def history_panels(path: Path, histories: Mapping[Model, Sequence[tuple[float, float]]]) -> None:
    """Validation accuracy (%) over epochs, one panel an architecture over the grey of all others."""
    architectures = list(dict.fromkeys(model.architecture for model in histories))
    columns = min(7, len(architectures))
    rows = -(-len(architectures) // columns)
    with style.figure(path, style.PAGE_WIDTH, 0.5 + 1.0 * rows) as figure:
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, architecture in zip(grid.flat, architectures, strict=False):
            others = [points for model, points in histories.items() if model.architecture != architecture]
            axes.add_collection(LineCollection(others, colors=OTHERS, linewidths=0.4, zorder=1))
            for model, points in histories.items():
                if model.architecture == architecture:
                    axes.plot(
                        *zip(*points, strict=True),
                        color=model.look.colour,
                        linestyle=model.look.line,
                        zorder=3,
                    )
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.set_title(architecture, fontsize=6.3)
        for axes in list(grid.flat)[len(architectures) :]:
            axes.set_visible(False)
        style.percent_axis(grid[0, 0], "")
        figure.supxlabel("epoch", fontsize=7)
        figure.supylabel("validation accuracy (%)", fontsize=7)


def _columns(panels: int) -> int:
    """Panels side by side: fourteen stand in three rows, so that two figures fit on a page."""
    return panels if panels <= 3 else 3 if panels <= 6 else 4 if panels <= 8 else 5
