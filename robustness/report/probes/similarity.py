"""How alike the stages are to one another, and those of clean images to those of shifted ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from robustness.report.probes.canvas import panel, picture
from robustness.report.probes.registry import register

SIDE, LEFT, TOP = 1.25, 0.62, 0.2
"""Inches of a panel, of the names beside the first one, and of the title above each."""


@register("similarity")
def draw(arrays: Mapping[str, np.ndarray], folder: Path, classes: Sequence[str] = ()) -> list[Path]:
    """``similarity.png``: debiased CKA of stage with stage, then clean (rows) with shifted (columns)."""
    path, stages = folder / "similarity.png", [str(stage) for stage in arrays["stages"]]
    panels = {"stage with stage": arrays["within"]}
    panels |= {
        f"clean, {name.removeprefix('shifted/')}": values
        for name, values in arrays.items()
        if name.startswith("shifted/")
    }
    with picture(path, LEFT + len(panels) * (SIDE + 0.06), TOP + SIDE + LEFT) as figure:
        for place, (title, values) in enumerate(panels.items()):
            axes = panel(figure, LEFT + place * (SIDE + 0.06), TOP, SIDE)
            axes.imshow(np.nan_to_num(values), cmap="cividis", vmin=0, vmax=1)
            for (row, column), value in np.ndenumerate(values):
                colour = "white" if not value > 0.5 else "black"
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=5, color=colour)
            axes.set_title(title)
            axes.set_xticks(range(len(stages)), stages, rotation=90)
            axes.set_yticks(range(len(stages)), stages if place == 0 else [""] * len(stages))
            axes.tick_params(length=0)
    return [path]
