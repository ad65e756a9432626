"""Who draws the pictures of which probe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robustness.registry import Registry
from robustness.report.plots import style
from robustness.report.probes.canvas import LEAST_COLUMNS, sheet

ROW = "pictures/"
"""What the name of an array (N, 3, H, W) in [0, 1] begins with that is one row of a probe's grid."""


@dataclass(frozen=True)
class Pictures:
    """Draws a probe's pictures: (arrays, folder, names of the classes) → the paths of what it drew there,
    pictures as PNG, plots as SVG. A file's stem is the probe's name or begins with it."""

    probe: str
    draw: Callable[[Mapping[str, np.ndarray], Path, Sequence[str]], list[Path]]


PICTURES: Registry[Pictures] = Registry("pictures of the probe", Pictures)
register, names = PICTURES.register, PICTURES.names


def draw(
    probe: str, arrays: Mapping[str, np.ndarray], folder: Path, classes: Sequence[str] = ()
) -> list[Path]:
    """Draw the pictures of a probe into a folder; the paths of what was drawn."""
    return (
        PICTURES.get(probe).draw(arrays, folder, classes)
        if probe in PICTURES
        else _grid(probe, arrays, folder)
    )


def _grid(probe: str, arrays: Mapping[str, np.ndarray], folder: Path) -> list[Path]:
    """``<probe>.png``: one row per array whose name begins with :data:`ROW`; nothing without one."""
    rows = {name.removeprefix(ROW): array for name, array in arrays.items() if name.startswith(ROW)}
    if not rows:
        return []
    path, columns = folder / f"{probe}.png", max(LEAST_COLUMNS, *map(len, rows.values()))
    with sheet(path, len(rows), columns, width=style.PAGE_WIDTH, label=0.22) as made:
        for row, (name, images) in enumerate(rows.items()):
            made.beside(row, name, 5)
            for column, image in enumerate(images):
                made.image(row, column, image.transpose(1, 2, 0))
    return [path]
