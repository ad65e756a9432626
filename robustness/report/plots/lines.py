"""Line plots in panels: accuracy over levels, ε, share of the data or epochs; probe numbers over depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import seaborn.objects as so
from matplotlib.ticker import MaxNLocator

from robustness.report.model_table import Model
from robustness.report.palette import FRONTENDS, OTHERS, SHARE_LINES
from robustness.report.plots import style


def line_panels(
    path: Path, table: pd.DataFrame, colours: Mapping[str, str], y_label: str, chance: float | None
) -> None:
    """Curves that differ in front-end, training, noise or data, panels side by side, one y-axis.

    ``table``: columns panel, name (a key of ``colours``), level, value, low and high (in per cent),
    x_label.
    """
    names = [name for name in colours if (table["name"] == name).any()]
    lines = {name: (FRONTENDS | SHARE_LINES).get(name, "-") for name in names}
    plot = so.Plot(table.reset_index(), x="level", y="value", ymin="low", ymax="high", color="name")
    plot = plot.facet(col="panel").share(x=False).limit(y=(-3, 103))
    plot = plot.scale(color={name: colours[name] for name in names}, linestyle=lines)
    plot = plot.add(so.Band(alpha=0.13), legend=False)
    plot = plot.add(so.Line(marker="o", pointsize=3, linewidth=1.2), linestyle="name", legend=False)
    with style.figure(path, style.PAGE_WIDTH, 2.35) as figure:
        grid = style.draw(plot, figure)
        for axes, x_label in zip(grid, table.drop_duplicates("panel")["x_label"], strict=True):
            axes.set_xlabel(x_label)
            if chance is not None:
                style.chance_line(axes, chance)
        grid[0].set_ylabel(y_label)
        style.legend(figure, {n: {"color": colours[n], "linestyle": lines[n], "marker": "o"} for n in names})


def curve_panels(
    path: Path,
    curves: pd.DataFrame,
    models: Sequence[Model],
    *,
    x_label: str,
    y_label: str,
    chance: float | None = None,
) -> None:
    """One panel per architecture: its models in colour with bands, all others in grey; the axes are shared.

    ``curves``: columns model, level, value and, for bands, low and high; all but the level in per cent.
    """
    table, models = _with_looks(curves, models)
    architectures = table["panel"].nunique()
    columns = _columns(architectures)
    plot = _plot(table, models).facet(col="panel", wrap=columns).limit(y=(-3, 103))
    plot = plot.add(so.Lines(color=OTHERS, linewidth=0.4), color=None, linestyle=None, col=None, legend=False)
    if "low" in table:
        plot = plot.add(so.Band(alpha=0.16), ymin="low", ymax="high", legend=False)
    plot = plot.add(so.Line(linewidth=1.2), legend=False)
    title_colours = {model.architecture: model.look.colour for model in models}
    whole = (table["level"] % 1 == 0)[table["level"] >= 1].all() and table["level"].max() >= 4
    height = 0.45 + (1.7 if columns <= 3 else 1.25) * -(-architectures // columns)
    with style.figure(path, style.PAGE_WIDTH, height) as figure:
        for axes in style.draw(plot, figure):
            name = axes.get_title("left")
            axes.set_title(
                name, color=title_colours[name], fontsize=6.5 if columns > 4 else 7.5, fontweight="bold"
            )
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=bool(whole)))
            if chance is not None:
                style.chance_line(axes, chance)
        figure.supxlabel(x_label, fontsize=7)
        figure.supylabel(y_label, fontsize=7)
        others = style.OTHER_MODELS if architectures > 1 else {}
        style.legend(figure, style.frontends(models) | others)


def depth_panels(path: Path, table: pd.DataFrame, models: Sequence[Model]) -> None:
    """One panel per probe number over relative depth, one line per model; each panel has its own y-axis.

    ``table``: columns panel, model, level (relative depth in [0, 1]), value (unit of the number).
    """
    table, models = _with_looks(table, models)
    panels = table["panel"].nunique()
    plot = _plot(table, models).facet(col="panel", wrap=min(3, panels)).share(y=False)
    plot = plot.scale(marker={model.family: model.look.marker for model in models})
    plot = plot.add(so.Line(linewidth=0.9, pointsize=3), marker="colour", legend=False)
    entries = style.families(models) | style.frontends(models)
    height = 0.35 + 0.16 * -(-len(entries) // 6) + 1.65 * -(-panels // 3)
    with style.figure(path, style.PAGE_WIDTH, height) as figure:
        style.draw(plot.limit(x=(-0.04, 1.04)), figure)
        figure.supxlabel("relative depth (0: image, 1: last layer)", fontsize=7)
        style.legend(figure, entries)


def _with_looks(table: pd.DataFrame, models: Sequence[Model]) -> tuple[pd.DataFrame, list[Model]]:
    """The table in the models' order with colour (family), line (front-end) and panel; its models."""
    known = {model.name: model for model in models if (table["model"] == model.name).any()}
    order = {name: place for place, name in enumerate(known)}
    table = table.sort_values("model", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    found = [known[name] for name in table["model"]]
    looks = {"colour": [model.family for model in found], "line": [model.frontend for model in found]}
    panel = table["panel"] if "panel" in table else [model.architecture for model in found]
    return table.assign(panel=panel, **looks), list(known.values())


def _plot(table: pd.DataFrame, models: Sequence[Model]) -> so.Plot:
    plot = so.Plot(table, x="level", y="value", color="colour", linestyle="line", group="model")
    return plot.scale(
        color={model.family: model.look.colour for model in models},
        linestyle={model.frontend: model.look.line for model in models},
    )


def _columns(panels: int) -> int:
    """Panels side by side: fourteen stand in three rows, so that two figures fit on a page."""
    return panels if panels <= 3 else 3 if panels <= 6 else 4 if panels <= 8 else 5
