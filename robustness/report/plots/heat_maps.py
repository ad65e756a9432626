"""Heat maps: accuracy over the view sphere, one panel per model; which class is taken for which."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import seaborn as sns

from robustness.report.plots import style


def sphere_maps(path: Path, panels: Mapping[str, pd.DataFrame]) -> None:
    """Accuracy of each model over the view sphere, all on one scale, the tens around all values.

    ``panels``: model → fractions by elevation (index) and azimuth (columns), both in degrees, ascending.
    """
    columns = min(4 if len(panels) <= 8 else 7, len(panels))
    rows = -(-len(panels) // columns)
    lowest = 10 * math.floor(10 * min(values.min(axis=None) for values in panels.values()))
    highest = 10 * math.ceil(10 * max(values.max(axis=None) for values in panels.values()))
    with style.figure(path, style.PAGE_WIDTH, 0.5 + (0.95 if columns > 2 else 1.4) * rows) as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        for position, (axes, (title, values)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
            sns.heatmap(
                100 * values.rename("{:g}".format, axis=0).rename("{:g}".format, axis=1).iloc[::-1],
                ax=axes,
                cmap="cividis",
                vmin=lowest,
                vmax=highest,
                cbar=False,
                xticklabels=max(1, values.shape[1] // (4 if columns < 7 else 2))
                if position + columns >= len(panels)
                else False,
                yticklabels=position % columns == 0,
            )
            axes.set_title(title, fontsize=min(6.5, 630 / columns / len(title)))  # as wide as its panel
            axes.set(xlabel="", ylabel="")
            axes.tick_params(rotation=0)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_visible(False)
        figure.supxlabel("azimuth (°)", fontsize=7)
        figure.supylabel("elevation (°)", fontsize=7)
        bar = figure.colorbar(grid[0, 0].collections[0], ax=grid, location="right", fraction=0.02, pad=0.01)
        bar.set_label("accuracy (%)")
        bar.outline.set_visible(False)


def shares(path: Path, panels: Mapping[str, pd.DataFrame]) -> None:
    """Tables of numbers from 0 to 1 side by side, one scale, the same rows in all, each number written."""
    rows = next(iter(panels.values())).index
    with style.figure(path, style.PAGE_WIDTH, 0.95 + 0.15 * len(rows)) as figure:
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, values) in zip(grid, panels.items(), strict=True):
            sns.heatmap(values, ax=axes, cmap="cividis", vmin=0, vmax=1, cbar=False, annot=True, fmt=".2f",
                        annot_kws={"fontsize": 5.5}, yticklabels=axes is grid[0])  # fmt: skip
            axes.set_title(title)
            axes.set(xlabel="", ylabel="")
            axes.tick_params(axis="x", rotation=90)
            axes.tick_params(axis="y", rotation=0, length=0)


def confusions(path: Path, groups: Mapping[str, pd.DataFrame], classes: Sequence[str]) -> None:
    """Shares (%) of the names given to the images of each class, one panel per group.

    ``groups``: title → rows with ``label`` and ``prediction``, numbers of ``classes``; every class has a row
    and a column.
    """
    with style.figure(path, style.PAGE_WIDTH, 0.4 + 2.7 / len(groups) * 2) as figure:
        grid = figure.subplots(1, len(groups), squeeze=False)[0]
        for axes, (title, rows) in zip(grid, groups.items(), strict=True):
            table = pd.crosstab(rows["label"], rows["prediction"], normalize="index")
            order = range(len(classes))
            table = table.reindex(index=order, columns=order, fill_value=0.0)
            table.index = table.columns = list(classes)
            sns.heatmap(
                100 * table,
                ax=axes,
                cmap="cividis",
                vmin=0,
                vmax=100,
                cbar=False,
                annot=len(classes) <= 20,
                fmt=".0f",
                annot_kws={"fontsize": 5},
                square=True,
                yticklabels=axes is grid[0],
            )
            axes.set_title(title)
            axes.set(xlabel="called", ylabel="is" if axes is grid[0] else "")
            axes.tick_params(axis="x", rotation=90)
