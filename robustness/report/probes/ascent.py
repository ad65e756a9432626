"""Pictures of preferred images: units by regularisers, and the facets of a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from robustness.report.plots import style
from robustness.report.probes.canvas import LEAST_COLUMNS, class_name, sheet, stages_of
from robustness.report.probes.registry import register

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


@register("ascent")
def draw(arrays: Mapping[str, np.ndarray], folder: Path, classes: Sequence[str] = ()) -> list[Path]:
    """``ascent.png``: one row per unit, first the natural patch that drives it most, then one column per
    regulariser (first start), each stretched around the mean colour; ``ascent_facets.png``: the starts of
    each class and what they became."""
    path = folder / "ascent.png"
    stages, regularisers = stages_of(arrays, "responses"), [str(name) for name in arrays["regularisers"]]
    lines = [(stage, place) for stage in stages for place in range(len(arrays[f"{stage}/units"]))]
    columns = max(LEAST_COLUMNS, 1 + len(regularisers))
    with sheet(path, len(lines), columns, width=style.PAGE_WIDTH, label=0.22, head=0.22) as made:
        for column, title in enumerate(("natural", *(TITLES.get(name, name) for name in regularisers))):
            made.above(0, column, title, 5)
        for row, (stage, place) in enumerate(lines):
            unit = int(arrays[f"{stage}/units"][place])
            made.beside(row, class_name(classes, unit) if stage == "logits" else f"{stage}\n{unit}", 5)
            made.image(row, 0, arrays[f"{stage}/natural_images"][place].transpose(1, 2, 0))
            for number in range(len(regularisers)):
                if arrays[f"{stage}/dead"][place]:
                    made.dead(row, 1 + number)
                elif not arrays[f"{stage}/moved"][place, number, 0]:
                    made.dead(row, 1 + number, "no\ngradient")
                else:
                    found = arrays[f"{stage}/images"][place, number, :1]
                    made.image(row, 1 + number, around(found, arrays["mean"])[0])
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
    width = 0.3 + 0.8 * columns
    with sheet(path, 2 * len(units), columns, width=width, label=0.22) as made:
        for line, unit in enumerate(units):
            made.beside(2 * line, f"{class_name(classes, unit)}:\nmean of facet", 5)
            made.beside(2 * line + 1, "preferred", 5)
            for place, index in enumerate(np.flatnonzero(owners == unit)):
                made.image(2 * line, place, arrays["facets/starts"][index].transpose(1, 2, 0))
                found = arrays["facets/images"][index : index + 1]
                made.image(2 * line + 1, place, around(found, arrays["mean"])[0])
    return [path]
