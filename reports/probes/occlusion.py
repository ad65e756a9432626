"""Pictures of the sliding square: what it does to the class's probability and to the strongest maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.patches import Rectangle

from reports.plots import style
from reports.probes.canvas import blank, class_name, image, picture, stages_of

IMAGES = 3


def draw(arrays: Mapping[str, np.ndarray], folder: Path, classes: Sequence[str] = ()) -> list[Path]:
    """``occlusion.png``: a row an image; the square on it, the class's probability and the sum of the
    strongest map of every stage with the square at each place, dark where covering it takes most away."""
    path = folder / "occlusion.png"
    stages = stages_of(arrays, "activity")
    count = min(IMAGES, len(arrays["images"]))
    columns = 2 + len(stages)
    with picture(path, style.PAGE_WIDTH, (style.PAGE_WIDTH / columns + 0.16) * count + 0.1) as figure:
        grid = figure.subplots(count, columns, squeeze=False)
        for index, row in enumerate(grid):
            side = int(arrays["side"])
            image(row[0], arrays["images"][index].transpose(1, 2, 0))
            square = Rectangle((1, 1), side, side, facecolor="#808080", edgecolor="white", linewidth=0.6)
            row[0].add_patch(square)
            row[0].set_xlabel(class_name(classes, int(arrays["labels"][index])), fontsize=6)
            probability = arrays["probability"][index]
            clean = float(arrays["clean_probability"][index])
            _map(row[1], probability, 0.0, max(clean, float(probability.max()), 1e-6))
            row[1].set_xlabel(f"{clean:.2f} → {probability.min():.2f}", fontsize=6)
            for axes, stage in zip(row[2:], stages, strict=True):
                activity = arrays[f"{stage}/activity"][index]
                _map(axes, activity, float(min(activity.min(), 1.0)), float(max(activity.max(), 1.0)))
                axes.set_xlabel(f"1 → {activity.min():.2f}", fontsize=6)
            if index == 0:
                for axes, title in zip(row, ("image, square", "P(class)", *stages), strict=True):
                    axes.set_title(title)
    return [path]


def _map(axes, values: np.ndarray, low: float, high: float) -> None:
    axes.imshow(values, cmap="viridis", vmin=low, vmax=max(high, low + 1e-6), interpolation="nearest")
    blank(axes)
