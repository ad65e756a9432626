"""Accuracy over the view sphere, a panel a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from robustness.report.plots import style


def sphere_maps(
    path: Path,
    panels: Mapping[str, np.ndarray],
    azimuths: Sequence[float],
    elevations: Sequence[float],
    columns: int = 4,
) -> None:
    """Accuracy (elevations, azimuths) of each model over the view sphere, all on one scale of 0 to 100 %."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    with style.figure(path, style.PAGE_WIDTH, 0.5 + (0.95 if columns > 2 else 1.4) * rows) as figure:
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        image = None
        for axes, (title, values) in zip(grid.flat, panels.items(), strict=False):
            image = axes.imshow(100 * values, cmap="cividis", vmin=0, vmax=100, aspect="auto", origin="lower")
            axes.set_title(title, fontsize=6.5)
            axes.grid(visible=False)
            step = max(1, len(azimuths) // 4)
            axes.set_xticks(range(0, len(azimuths), step), [f"{a:g}" for a in azimuths[::step]])
            axes.set_yticks(range(len(elevations)), [f"{e:g}" for e in elevations])
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_visible(False)
        for axes in list(grid.flat)[max(0, len(panels) - columns) : len(panels)]:
            axes.tick_params(labelbottom=True)
        figure.supxlabel("azimuth (°)", fontsize=7)
        figure.supylabel("elevation (°)", fontsize=7)
        if image is not None:
            bar = figure.colorbar(image, ax=grid, location="right", fraction=0.02, pad=0.01)
            bar.set_label("accuracy (%)")
            bar.outline.set_visible(False)
