"""Heat maps of accuracy over the view sphere, one panel per model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import seaborn as sns

from robustness.report.plots import style


def sphere_maps(path: Path, panels: Mapping[str, pd.DataFrame], columns: int = 4) -> None:
    """Accuracy of each model over the view sphere, all on one scale of 0 to 100 %.

    ``panels``: model → fractions by elevation (index) and azimuth (columns), both in degrees, ascending.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    with style.figure(path, style.PAGE_WIDTH, 0.5 + (0.95 if columns > 2 else 1.4) * rows) as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        for position, (axes, (title, values)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
            sns.heatmap(
                100 * values.rename("{:g}".format, axis=0).rename("{:g}".format, axis=1).iloc[::-1],
                ax=axes,
                cmap="cividis",
                vmin=0,
                vmax=100,
                cbar=False,
                xticklabels=max(1, values.shape[1] // 4) if position + columns >= len(panels) else False,
                yticklabels=position % columns == 0,
            )
            axes.set_title(title, fontsize=6.5)
            axes.set(xlabel="", ylabel="")
            axes.tick_params(rotation=0)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_visible(False)
        figure.supxlabel("azimuth (°)", fontsize=7)
        figure.supylabel("elevation (°)", fontsize=7)
        bar = figure.colorbar(grid[0, 0].collections[0], ax=grid, location="right", fraction=0.02, pad=0.01)
        bar.set_label("accuracy (%)")
        bar.outline.set_visible(False)
