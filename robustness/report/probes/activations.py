"""Pictures of what drives the channels: the nine strongest patches beside their deconvnet projections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from robustness.report.plots import style
from robustness.report.probes.canvas import sheet, shown, stages_of, tiles
from robustness.report.probes.registry import register

UNITS = 4


@register("activations")
def draw(arrays: Mapping[str, np.ndarray], folder: Path, classes: Sequence[str] = ()) -> list[Path]:
    """``activations.png``: one row per stage; for four channels the nine strongest patches and their
    projections."""
    path = folder / "activations.png"
    stages = stages_of(arrays, "patches")
    back = f"{stages[0]}/deconvolution" in arrays
    columns = UNITS * (1 + back)
    with sheet(
        path, len(stages), columns, width=style.PAGE_WIDTH, label=0.13, head=0.14, between=0.14
    ) as made:
        for row, stage in enumerate(stages):
            made.beside(row, stage, 6.5)
            units = arrays[f"{stage}/units"][:UNITS]
            for place, unit in enumerate(units):
                column = place * (1 + back)
                if not arrays[f"{stage}/live"][unit]:
                    for each in range(1 + back):
                        made.dead(row, column + each)
                    continue
                patches = arrays[f"{stage}/patches"][place].transpose(0, 2, 3, 1) / 255
                gap = max(1, patches.shape[1] // 16)
                made.image(row, column, tiles(patches, 3, gap))
                made.above(row, column, f"channel {unit}", 7)
                if back:
                    # A projection is sparse: scaled by its strongest pixel, nearly all of it would be grey.
                    projections = shown(arrays[f"{stage}/deconvolution"][place], centre=0.0, quantile=0.99)
                    made.image(row, column + 1, tiles(projections, 3, gap))
                    made.above(row, column + 1, "deconvnet", 7)
    return [path]
