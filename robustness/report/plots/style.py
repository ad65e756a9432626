"""What all figures share: sizes, fonts, and saving so that equal figures are equal bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustness.report.palette import CHANCE, Look

PAGE_WIDTH = 6.7
"""Width of the text on the page in inches: figures are drawn at this size, so a font keeps its points."""

_RC = {
    "svg.fonttype": "path",
    "svg.hashsalt": "robustness",
    "font.family": "DejaVu Sans",
    "font.size": 7.0,
    "axes.titlesize": 7.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 3.0,
    "axes.labelsize": 7.0,
    "axes.labelpad": 2.0,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "figure.dpi": 100,
    "savefig.dpi": 200,
}


@contextmanager
def figure(
    path: Path, width: float, height: float, edges: Mapping[str, float] | None = None
) -> Iterator[Figure]:
    """A figure of ``width`` × ``height`` inches, saved as SVG to ``path`` when the block ends well.

    ``edges``: where its axes lie (as ``subplots_adjust`` takes it), which saves the time to find that out.
    """
    with mpl.rc_context(_RC):
        made = Figure(figsize=(width, height), layout=None if edges else "constrained")
        if edges:
            made.subplots_adjust(**edges)
        else:
            made.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.03, hspace=0.03)
        yield made
        path.parent.mkdir(parents=True, exist_ok=True)
        made.savefig(path, metadata={"Date": None, "Creator": None})


def marker_style(look: Look) -> dict[str, object]:
    """Keywords of ``plot`` for the points of a model."""
    return {
        "color": look.colour,
        "marker": look.marker,
        "fillstyle": look.fill,
        "markerfacecoloralt": "white",
        "markeredgecolor": look.colour,
        "markeredgewidth": 0.8,
    }


def percent_axis(axes: Axes, label: str, axis: str = "y", low: float = 0.0, high: float = 100.0) -> None:
    """Fix an axis to per cent of 0 to 100 with a little room, and name it."""
    room = 0.03 * (high - low)
    if axis == "y":
        axes.set_ylim(low - room, high + room)
        axes.set_ylabel(label)
    else:
        axes.set_xlim(low - room, high + room)
        axes.set_xlabel(label)


def chance_line(axes: Axes, chance: float, axis: str = "y") -> None:
    """A thin dotted line where guessing would be (``chance`` as a fraction)."""
    draw = axes.axhline if axis == "y" else axes.axvline
    draw(100 * chance, color=CHANCE, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
