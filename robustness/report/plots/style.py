"""What all figures share: sizes, fonts, legends, and saving so that equal figures are equal bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import seaborn as sns
import seaborn.objects as so
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from robustness.report.palette import CHANCE

PAGE_WIDTH = 6.7
"""Width of the text on the page in inches: figures are drawn at this size, so a font keeps its points."""

RC = (
    sns.axes_style("ticks", {"axes.grid": True, "grid.color": "#e6e6e6", "font.family": ["DejaVu Sans"],
                             "axes.spines.top": False, "axes.spines.right": False})
    | sns.plotting_context("paper", 0.73, {"axes.linewidth": 0.6, "grid.linewidth": 0.5})
    | {f"{axis}tick.major.{key}": size for axis in "xy"
       for key, size in (("size", 2), ("width", 0.6), ("pad", 2))}
    | {"axes.titlelocation": "left", "axes.titlepad": 3, "axes.labelpad": 2, "legend.frameon": False,
       "svg.fonttype": "path", "svg.hashsalt": "robustness"}
)  # fmt: skip
"""Settings of matplotlib: seaborn's style and context at the size of the report's small text."""


@contextmanager
def figure(
    path: Path, width: float, height: float, edges: Mapping[str, float] | None = None
) -> Iterator[Figure]:
    """A figure of ``width`` × ``height`` inches, saved as SVG to ``path`` when the block ends well.

    ``edges``: where its axes lie (as ``subplots_adjust`` takes it), which saves the time to find that out.
    """
    with mpl.rc_context(RC):
        made = Figure(figsize=(width, height), layout=None if edges else "constrained")
        if edges:
            made.subplots_adjust(**edges)
        else:
            made.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.03, hspace=0.03)
        yield made
        path.parent.mkdir(parents=True, exist_ok=True)
        made.savefig(path, metadata={"Date": None, "Creator": None})


def draw(plot: so.Plot, figure: Figure) -> list[Axes]:
    """Draw a specification of ``seaborn.objects`` on a figure; its axes, panel by panel."""
    plot.theme(RC).label(x="", y="").on(figure).plot()
    return figure.axes


def panels(figure: Figure, count: int, columns: int, *, share_y: bool = True) -> list[Axes]:
    """So many panels in rows of ``columns``. Where the axes are shared their numbers stand at the edge alone,
    under the last panel of a column."""
    rows = -(-count // columns)
    grid = figure.subplots(rows, columns, sharex=True, sharey=share_y, squeeze=False).flatten()
    for axes in grid[count:]:
        axes.remove()
    for axes in grid[max(0, count - columns) : count]:
        axes.tick_params(labelbottom=True)
    return list(grid[:count])


def chance_line(axes: Axes, chance: float) -> None:
    """A thin dotted line where guessing would be (``chance`` as a fraction)."""
    axes.axhline(100 * chance, color=CHANCE, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)


LEGEND_CHARACTERS, LEGEND_HANDLE = 130, 9
"""The width of a legend, and of an entry's line with its gaps, in characters of a legend's size."""


def legend(figure: Figure, entries: Mapping[str, Mapping[str, object]]) -> None:
    """A legend above the figure: words → how their line or point is drawn (keywords of ``Line2D``)."""
    handles = [Line2D([], [], **{"label": words, "markersize": 3.5, **how}) for words, how in entries.items()]
    widest = max(map(len, entries)) + LEGEND_HANDLE
    columns = min(6, max(1, LEGEND_CHARACTERS // widest))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, handlelength=3.2)
