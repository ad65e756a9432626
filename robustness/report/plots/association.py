"""Question 6: scatter plots of the strongest pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from robustness.report.model_table import Model
from robustness.report.plots import style
from robustness.report.plots.depth import family_handles


@dataclass(frozen=True)
class Scatter:
    """One pair: axis labels, a title, and the points with their models."""

    title: str
    x_label: str
    y_label: str
    points: Sequence[tuple[Model, float, float]]


def scatters(path: Path, pairs: Sequence[Scatter]) -> None:
    """Draw the pairs three abreast; a point a model."""
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    models = list(dict.fromkeys(model for pair in pairs for model, _, _ in pair.points))
    families = len({model.family for model in models})
    with style.figure(path, style.PAGE_WIDTH, 0.2 + 0.16 * -(-families // 6) + 1.95 * rows) as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, pair in zip(grid.flat, pairs, strict=False):
            for model, x, y in pair.points:
                look = model.look
                own = {
                    **style.marker_style(look),
                    "fillstyle": "full" if model.frontend == "learned" else "none",
                }
                axes.plot([x], [y], linestyle="none", **own)
            axes.set_title(pair.title)
            axes.set_xlabel(pair.x_label.replace(" (", "\n("))
            axes.set_ylabel(pair.y_label)
        for axes in list(grid.flat)[len(pairs) :]:
            axes.set_visible(False)
        handles = [handle for handle in family_handles(models) if handle.get_linestyle() == "None"]
        figure.legend(handles=handles, loc="outside upper center", ncols=6)
