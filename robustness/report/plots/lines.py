"""Line plots in panels: accuracy over levels, ε, share of the data or epochs; probe numbers over depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import seaborn.objects as so
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from robustness.report.model_table import Model, families, frontends
from robustness.report.palette import FRONTENDS, OTHERS, SHARE_LINES
from robustness.report.plots import style

ABOVE, BELOW, BETWEEN = 0.34, 0.34, 0.28
"""Of panels per architecture: inches for legend and title, for numbers and label, and between two rows."""


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
    lines = dict(list(curves.sort_values("level").groupby("model", sort=False)))
    models = [model for model in models if model.name in lines]
    architectures = list(dict.fromkeys(model.architecture for model in models))
    columns = _columns(len(architectures))
    levels = curves["level"]
    whole = (levels % 1 == 0)[levels >= 1].all() and levels.max() >= 4
    height = 0.45 + (1.7 if columns <= 3 else 1.25) * -(-len(architectures) // columns)
    others = [line[["level", "value"]].to_numpy() for line in lines.values()]
    rows = -(-len(architectures) // columns)
    panel = (height - ABOVE - BELOW - (rows - 1) * BETWEEN) / rows
    edges = {"left": 0.5 / style.PAGE_WIDTH, "right": 1 - 0.05 / style.PAGE_WIDTH, "wspace": 0.08,
             "bottom": BELOW / height, "top": 1 - ABOVE / height, "hspace": BETWEEN / panel}  # fmt: skip
    with style.figure(path, style.PAGE_WIDTH, height, edges) as figure:
        for axes, name in zip(style.panels(figure, len(architectures), columns), architectures, strict=True):
            own = [model for model in models if model.architecture == name]
            axes.add_collection(LineCollection(others, colors=OTHERS, linewidths=0.4))
            for model in own:
                _line(axes, lines[model.name], model)
            size = {7: 5.0, 5: 6.5}.get(columns, 7.5)
            axes.set_title(name, color=own[0].look.colour, fontsize=size, fontweight="bold")
            axes.xaxis.set_major_locator(MaxNLocator(5 if columns < 7 else 3, integer=bool(whole)))
            axes.set_ylim(-3, 103)
            if chance is not None:
                style.chance_line(axes, chance)
        figure.supxlabel(x_label, fontsize=7)
        figure.supylabel(y_label, fontsize=7)
        others = {"all other models": {"color": OTHERS, "linewidth": 0.8}} if len(architectures) > 1 else {}
        style.legend(figure, frontends(models) | others)


def depth_panels(path: Path, table: pd.DataFrame, models: Sequence[Model]) -> None:
    """One panel per probe number over relative depth, one line per model; each panel has its own y-axis.

    ``table``: columns panel, model, level (relative depth in [0, 1]), value (unit of the number).
    """
    found = set(table["model"])
    models = [model for model in models if model.name in found]
    panels = dict(list(table.groupby("panel", sort=False)))
    entries = families(models) | frontends(models)
    height = 0.35 + 0.16 * -(-len(entries) // 6) + 1.65 * -(-len(panels) // 3)
    with style.figure(path, style.PAGE_WIDTH, height) as figure:
        grid = style.panels(figure, len(panels), min(3, len(panels)), share_y=False)
        for axes, (title, part) in zip(grid, panels.items(), strict=True):
            lines = dict(list(part.sort_values("level").groupby("model", sort=False)))
            for model in models:
                if model.name in lines:
                    _line(
                        axes, lines[model.name], model, linewidth=0.9, marker=model.look.marker, markersize=3
                    )
            axes.set_title(title)
            axes.set_xlim(-0.04, 1.04)
        figure.supxlabel("relative depth (0: image, 1: last layer)", fontsize=7)
        style.legend(figure, entries)


def _line(axes: Axes, line: pd.DataFrame, model: Model, **how: Any) -> None:
    """The line of a model (columns level, value) in its look, with a band where it has low and high."""
    look = {"color": model.look.colour, "linestyle": model.look.line, "linewidth": 1.2}
    axes.plot(line["level"], line["value"], **(look | how))
    if "low" in line:
        axes.fill_between(
            line["level"], line["low"], line["high"], color=model.look.colour, alpha=0.16, linewidth=0
        )


def _columns(panels: int) -> int:
    """Panels side by side: fourteen stand in two rows, so that three figures fit on a page."""
    return panels if panels <= 4 else 3 if panels <= 6 else 4 if panels <= 8 else 5 if panels <= 10 else 7
