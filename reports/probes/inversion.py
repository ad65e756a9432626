"""Pictures of reconstructions: the image, then five starts, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from reports.plots import style
from reports.probes.canvas import LEAST_COLUMNS, image, leave_out, picture


def draw(arrays: Mapping[str, np.ndarray], folder: Path, classes: Sequence[str] = ()) -> list[Path]:
    """``inversion.png``: a row a stage; each image once, then its reconstructions from different starts."""
    path = folder / "inversion.png"
    stages = [str(stage) for stage in arrays["stages"]]
    originals = arrays["images"][:2]
    starts = arrays[f"{stages[0]}/images"].shape[1]
    used = len(originals) * (1 + starts)
    columns = max(LEAST_COLUMNS, used)
    with picture(path, style.PAGE_WIDTH, (style.PAGE_WIDTH / columns + 0.03) * len(stages) + 0.15) as figure:
        grid = figure.subplots(len(stages), columns, squeeze=False)
        leave_out(grid[:, used:])
        for row, stage, depth in zip(grid, stages, arrays["depths"], strict=True):
            for index, original in enumerate(originals):
                first = index * (1 + starts)
                image(row[first], original.transpose(1, 2, 0))
                for start in range(starts):
                    found = arrays[f"{stage}/images"][index, start].transpose(1, 2, 0)
                    image(row[first + 1 + start], found)
            row[0].set_ylabel(f"{stage}\n{depth:.2f}", fontsize=5)
        for index in range(len(originals)):
            grid[0, index * (1 + starts)].set_title("image", fontsize=5.5)
            for start in range(starts):
                grid[0, index * (1 + starts) + 1 + start].set_title(f"start {start + 1}", fontsize=5.5)
    return [path]
