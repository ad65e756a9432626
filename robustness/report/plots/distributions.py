"""Cumulative distributions of units in panels, over a published one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from robustness.report.plots import style

PUBLISHED = {"color": "#b9b9b9", "linewidth": 4.0}
"""How the published distribution is drawn."""
COLUMNS = 4


@dataclass(frozen=True)
class Panel:
    """One quantity: the published histogram, ``edges`` (k + 1,) and ``counts`` (k,), and by name the values
    of units, NaN where they have none. ``octaves``: its axis is logarithmic."""

    title: str
    edges: np.ndarray
    counts: np.ndarray
    values: Mapping[str, np.ndarray]
    octaves: bool = False


def cumulative_panels(
    path: Path,
    panels: Sequence[Panel],
    lines: Mapping[str, Mapping[str, object]],
    legend: Mapping[str, Mapping[str, object]],
) -> None:
    """The share of units at or below each value, one line per name of ``lines`` (keywords of ``Line2D``).

    Values beyond the published edges stand at the edge; a panel in which a name has fewer than two values has
    no line of it.
    """
    rows = -(-len(panels) // COLUMNS)
    with style.figure(path, style.PAGE_WIDTH, 0.45 + 1.45 * rows) as figure:
        grid = figure.subplots(rows, COLUMNS, sharey=True, squeeze=False).flatten()
        for axes, panel in zip(grid, panels, strict=False):
            _panel(axes, panel, lines)
        for axes in grid[len(panels) :]:
            axes.remove()
        figure.supylabel("share of units", fontsize=7)
        style.legend(figure, legend)


def _panel(axes: Axes, panel: Panel, lines: Mapping[str, Mapping[str, object]]) -> None:
    cumulative = np.append(0, np.cumsum(panel.counts)) / panel.counts.sum()
    axes.plot(panel.edges, cumulative, **PUBLISHED, solid_capstyle="round")
    for name, look in lines.items():
        values = panel.values.get(name, np.empty(0))
        values = np.sort(values[np.isfinite(values)].clip(*panel.edges[[0, -1]]))
        if len(values) > 1:
            share = np.arange(1, len(values) + 1) / len(values)
            ends = np.r_[panel.edges[0], values, panel.edges[-1]]
            axes.plot(ends, np.r_[0, share, 1], **({"drawstyle": "steps-post", "linewidth": 1.1} | look))
    if panel.octaves:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator([0.125, 0.5, 2, 8]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(*panel.edges[[0, -1]])
    axes.set_ylim(-0.02, 1.02)
    axes.set_title(panel.title)
