"""Pictures of reconstructions: the image, then what each start became, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from robustness.report.plots import style
from robustness.report.probes.canvas import sheet
from robustness.report.probes.registry import register

COLUMNS = 6
"""What half a page is wide for."""


@register("inversion")
def draw(arrays: Mapping[str, np.ndarray], folder: Path, classes: Sequence[str] = ()) -> list[Path]:
    """``inversion.png``: one row per stage; each image once, then its reconstructions from several starts;
    as many images as fit side by side."""
    path = folder / "inversion.png"
    stages = [str(stage) for stage in arrays["stages"]]
    starts = arrays[f"{stages[0]}/images"].shape[1]
    originals = arrays["images"][: max(1, COLUMNS // (1 + starts))]
    columns = max(COLUMNS, len(originals) * (1 + starts))
    with sheet(path, len(stages), columns, width=style.PAGE_WIDTH / 2, label=0.36, head=0.12) as made:
        for row, (stage, depth) in enumerate(zip(stages, arrays["depths"], strict=True)):
            made.beside(row, f"{stage}\n{depth:.2f}\n{_state(arrays, stage)}", 4.5)
            for index, original in enumerate(originals):
                first = index * (1 + starts)
                made.image(row, first, original.transpose(1, 2, 0))
                for start in range(starts):
                    found = arrays[f"{stage}/images"][index, start].transpose(1, 2, 0)
                    made.image(row, first + 1 + start, found)
        for index in range(len(originals)):
            for start, title in enumerate(("image", *(f"start {1 + start}" for start in range(starts)))):
                made.above(0, index * (1 + starts) + start, title, 4.5)
    return [path]


def _state(arrays: Mapping[str, np.ndarray], stage: str) -> str:
    """The mean error of a stage, or that its objective was still falling, and by how much."""
    fall = float(np.mean(arrays[f"{stage}/fall"]))
    if not fall < float(arrays["tolerance"]):  # NaN: too few steps to tell
        return f"not converged\n(−{100 * fall:.0f} %)" if np.isfinite(fall) else "not converged"
    return f"error {np.sqrt(arrays[f'{stage}/errors']).mean():.2f}"
