"""Pictures of preferred images: units by regularisers, and the facets of a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from reports.plots import style
from reports.probes.canvas import LEAST_COLUMNS, class_name, dead_tile, image, leave_out, picture, stages_of

TITLES = {
    "none": "none",
    "decay": "L2 decay",
    "blur": "blur",
    "small_norm": "small\nnorm",
    "small_contribution": "small\ncontrib.",
    "yosinski1": "set 1",
    "yosinski2": "set 2",
    "yosinski3": "set 3",
    "yosinski4": "set 4",
    "total_variation": "total\nvariation",
    "fourier": "Fourier",
    "spectrum": "natural\nspectrum",
}


def draw(arrays: Mapping[str, np.ndarray], folder: Path, classes: Sequence[str] = ()) -> list[Path]:
    """``ascent.png``: a row a unit, first the natural piece that drives it most, then a column a regulariser
    (first start), each stretched around the mean colour; ``ascent_facets.png``: the starts of each class and
    what they became."""
    path = folder / "ascent.png"
    stages, regularisers = stages_of(arrays, "responses"), [str(name) for name in arrays["regularisers"]]
    lines = [(stage, place) for stage in stages for place in range(len(arrays[f"{stage}/units"]))]
    used = 1 + len(regularisers)
    columns = max(LEAST_COLUMNS, used)
    cell = style.PAGE_WIDTH / columns
    with picture(path, style.PAGE_WIDTH, (cell + 0.03) * len(lines) + 0.25) as figure:
        grid = figure.subplots(len(lines), columns, squeeze=False)
        leave_out(grid[:, used:])
        for row, (stage, place) in zip(grid, lines, strict=True):
            unit = int(arrays[f"{stage}/units"][place])
            image(row[0], arrays[f"{stage}/natural_images"][place].transpose(1, 2, 0))
            name = class_name(classes, unit) if stage == "logits" else f"{stage}\n{unit}"
            row[0].set_ylabel(name, fontsize=5)
            for number, axes in enumerate(row[1:used]):
                if arrays[f"{stage}/dead"][place]:
                    dead_tile(axes)
                elif not arrays[f"{stage}/moved"][place, number, 0]:
                    dead_tile(axes, "no\ngradient")
                else:
                    found = arrays[f"{stage}/images"][place, number, :1]
                    image(axes, around(found, arrays["mean"])[0])
        for axes, title in zip(
            grid[0, :used], ("natural", *(TITLES.get(n, n) for n in regularisers)), strict=True
        ):
            axes.set_title(title, fontsize=5)
    return [path, *_facets(arrays, folder, classes)]


def around(images: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """uint8 (N, 3, H, W) → (N, H, W, 3) in [0, 1]: the distance from the mean colour, stretched so that the
    half per cent of largest values saturates; the mean colour itself is mid-grey."""
    distance = images.transpose(0, 2, 3, 1) / 255 - mean
    reach = np.percentile(np.abs(distance), 99.5, axis=(1, 2, 3), keepdims=True)
    return (0.5 + 0.5 * distance / np.maximum(reach, 1e-6)).clip(0, 1)


def _facets(arrays: Mapping[str, np.ndarray], folder: Path, classes: Sequence[str]) -> list[Path]:
    if "facets/units" not in arrays:
        return []
    path = folder / "ascent_facets.png"
    owners = arrays["facets/units"]
    units = list(dict.fromkeys(owners.tolist()))
    columns = max(int((owners == unit).sum()) for unit in units)
    with picture(path, 0.8 * columns, 1.62 * len(units)) as figure:
        grid = figure.subplots(2 * len(units), columns, squeeze=False)
        for axes in grid.ravel():
            axes.set_axis_off()
        for line, unit in enumerate(units):
            for place, index in enumerate(np.flatnonzero(owners == unit)):
                start, end = grid[2 * line, place], grid[2 * line + 1, place]
                for axes in (start, end):
                    axes.set_axis_on()
                image(start, arrays["facets/starts"][index].transpose(1, 2, 0))
                image(end, around(arrays["facets/images"][index : index + 1], arrays["mean"])[0])
            grid[2 * line, 0].set_ylabel(f"{class_name(classes, unit)}:\nmean of facet", fontsize=5)
            grid[2 * line + 1, 0].set_ylabel("preferred", fontsize=5)
    return [path]
