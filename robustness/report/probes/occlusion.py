"""Pictures of the sliding square: what it does to the class's probability and to the strongest maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from robustness.report.plots import style
from robustness.report.probes.canvas import class_name, sheet, stages_of
from robustness.report.probes.registry import register

IMAGES = 3
SCALE = "viridis"


@register("occlusion")
def draw(arrays: Mapping[str, np.ndarray], folder: Path, classes: Sequence[str] = ()) -> list[Path]:
    """``occlusion.png``: one row per image; the square on it, the class's probability and the sum of the
    strongest map of every stage with the square at each place, all on one scale from 0 to what the whole
    image gives."""
    path = folder / "occlusion.png"
    stages = stages_of(arrays, "activity")
    count = min(IMAGES, len(arrays["images"]))
    columns = 2 + len(stages)
    words = {"head": 0.14, "between": 0.14, "foot": 0.32}
    with sheet(path, count, columns, width=style.PAGE_WIDTH, **words) as made:
        for column, title in enumerate(("image, square", "P(class)", *stages)):
            made.above(0, column, title, 7)
        for row in range(count):
            pixels = arrays["images"][row].transpose(1, 2, 0)
            made.image(row, 0, pixels)
            made.square(row, 0, 1.5 / len(pixels), int(arrays["side"]) / len(pixels))
            made.below(row, 0, class_name(classes, int(arrays["labels"][row])), 6)
            probability = arrays["probability"][row]
            clean = float(arrays["clean_probability"][row])
            made.image(row, 1, probability / max(clean, 1e-6), SCALE)
            made.below(row, 1, f"{clean:.2f} → {probability.min():.2f}", 6)
            for column, stage in enumerate(stages, start=2):
                activity = arrays[f"{stage}/activity"][row]
                made.image(row, column, activity, SCALE)
                made.below(row, column, f"1 → {activity.min():.2f}", 6)
        made.scale(count - 1, SCALE, "left of the whole image's: none", "all")
    return [path]
