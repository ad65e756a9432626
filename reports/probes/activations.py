"""Pictures of what drives the channels: the nine strongest patches beside their deconvnet projections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from reports.plots import style
from reports.probes.canvas import dead_tile, image, picture, shown, stages_of, tiles

UNITS = 4


def draw(arrays: Mapping[str, np.ndarray], folder: Path, classes: Sequence[str] = ()) -> list[Path]:
    """``activations.png``: a row a stage; for four channels the nine strongest patches, and their
    projections."""
    path = folder / "activations.png"
    stages = stages_of(arrays, "patches")
    back = f"{stages[0]}/deconvolution" in arrays
    columns = UNITS * (1 + back)
    cell = style.PAGE_WIDTH / columns
    with picture(path, style.PAGE_WIDTH, (cell + 0.14) * len(stages)) as figure:
        grid = figure.subplots(len(stages), columns, squeeze=False)
        for row, stage in zip(grid, stages, strict=True):
            units = arrays[f"{stage}/units"]
            for place in range(UNITS):
                axes = row[place * (1 + back) : (place + 1) * (1 + back)]
                if place >= len(units):
                    for part in axes:
                        part.set_axis_off()
                elif not arrays[f"{stage}/live"][units[place]]:
                    for part in axes:
                        dead_tile(part)
                else:
                    _unit(axes, arrays, stage, place)
            row[0].set_ylabel(stage, fontsize=6.5)
    return [path]


def _unit(axes: Sequence, arrays: Mapping[str, np.ndarray], stage: str, place: int) -> None:
    patches = arrays[f"{stage}/patches"][place].transpose(0, 2, 3, 1) / 255
    gap = max(1, patches.shape[1] // 16)
    image(axes[0], tiles(patches, 3, gap), f"channel {arrays[f'{stage}/units'][place]}")
    if len(axes) > 1:
        # A projection is sparse: scaled by its strongest pixel, nearly all of it would be grey.
        projections = shown(arrays[f"{stage}/deconvolution"][place], centre=0.0, quantile=0.99)
        image(axes[1], tiles(projections, 3, gap), "deconvnet")
