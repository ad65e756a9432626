"""Numbers of the probes over relative depth: a line a model, in the colour of its family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.lines import Line2D

from robustness.report.model_table import Model
from robustness.report.plots import style

Points = Sequence[tuple[float, float]]
"""(relative depth 0–1, value), ascending in depth."""


def depth_panels(path: Path, panels: Mapping[str, Mapping[Model, Points]], columns: int = 3) -> None:
    """Draw a panel a metric (its key is the title); legend: families and front-ends."""
    models = list(dict.fromkeys(model for lines in panels.values() for model in lines))
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    families = list(dict.fromkeys(model.family for model in models))
    legend = 0.16 * -(-(len(families) + 2) // 6)
    with style.figure(path, style.PAGE_WIDTH, 0.35 + legend + 1.65 * rows) as figure:
        grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for axes, (title, lines) in zip(grid.flat, panels.items(), strict=False):
            for model, points in lines.items():
                depths, values = zip(*points, strict=True)
                look = model.look
                axes.plot(
                    depths,
                    values,
                    linestyle=look.line,
                    linewidth=0.9,
                    **style.marker_style(look),
                    markersize=3,
                )
            axes.set_title(title)
            axes.set_xlim(-0.04, 1.04)
            axes.tick_params(labelbottom=True)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_visible(False)
        figure.supxlabel("relative depth (0: image, 1: last layer)", fontsize=7)
        figure.legend(handles=family_handles(models), loc="outside upper center", ncols=6)


def family_handles(models: Sequence[Model]) -> list[Line2D]:
    """A marker in its colour for each family, then the line styles of the front-ends in black."""
    handles = []
    for model in {model.family: model for model in models}.values():
        look = {**style.marker_style(model.look), "fillstyle": "full"}
        handles.append(Line2D([], [], linestyle="none", label=model.family, **look))
    for model in {model.frontend: model for model in models}.values():
        handles.append(Line2D([], [], color="black", linestyle=model.look.line, label=model.frontend))
    return handles
