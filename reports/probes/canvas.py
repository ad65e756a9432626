"""What the probe pictures share: saving, tiles, colours of classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_RC = {
    "font.family": "DejaVu Sans",
    "font.size": 6.5,
    "axes.titlesize": 7.0,
    "axes.titlepad": 2.5,
    "axes.linewidth": 0.6,
    "legend.fontsize": 6.0,
    "legend.frameon": False,
}

CLASS_COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#000000",
    "#999933", "#5d3fd3", "#a6761d", "#7f7f7f",
)  # fmt: skip
CLASS_MARKERS = ("o", "s", "^", "v", "D", "P", "X", "<", ">", "p", "*", "h")


LEAST_COLUMNS = 8
"""Of a grid over the whole width: a few pictures do not fill a page."""


@contextmanager
def picture(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of ``width`` × ``height`` inches, saved as a 300 dpi PNG when the block ends well."""
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=300, metadata={"Software": None})


def class_style(label: int) -> tuple[str, str]:
    """Colour and marker of a class: twelve colours, and other markers in every further round."""
    rounds, index = divmod(int(label), len(CLASS_COLOURS))
    return CLASS_COLOURS[index], CLASS_MARKERS[(index + 5 * rounds) % len(CLASS_MARKERS)]


def class_name(classes: Sequence[str], label: int) -> str:
    return classes[label] if 0 <= label < len(classes) else str(label)


def shown(images: np.ndarray, *, centre: float | None = None, quantile: float = 1.0) -> np.ndarray:
    """(N, C, H, W) → (N, H, W, 3), each stretched over its own range for the eye.

    ``centre`` keeps that value at mid-grey (0 for filters); then ``quantile`` is the share of values that lie
    within full contrast: below 1, a few strong pixels do not leave the rest grey. One or two channels become
    grey pictures.
    """
    images = np.asarray(images, dtype=float)
    if images.shape[1] != 3:
        images = images.mean(1, keepdims=True).repeat(3, axis=1)
    if centre is None:
        low, high = images.min((1, 2, 3), keepdims=True), images.max((1, 2, 3), keepdims=True)
        stretched = (images - low) / np.maximum(high - low, 1e-12)
    else:
        distance = np.abs(images - centre)
        reach = np.quantile(distance, quantile, axis=(1, 2, 3), keepdims=True)
        # A picture that is empty but for fewer pixels than that keeps its own range.
        reach = np.where(reach > 0, reach, distance.max((1, 2, 3), keepdims=True))
        stretched = 0.5 + 0.5 * (images - centre) / np.maximum(reach, 1e-12)
    return stretched.transpose(0, 2, 3, 1).clip(0, 1)


def tiles(pictures: np.ndarray, columns: int, gap: int = 1) -> np.ndarray:
    """(N, h, w, 3) in rows of ``columns`` on white: one array (H, W, 3)."""
    count, height, width, _ = pictures.shape
    rows = -(-count // columns)
    sheet = np.ones((rows * (height + gap) - gap, columns * (width + gap) - gap, 3))
    for index, picture_ in enumerate(pictures):
        row, column = divmod(index, columns)
        top, left = row * (height + gap), column * (width + gap)
        sheet[top : top + height, left : left + width] = picture_
    return sheet


def image(axes: Axes, pixels: np.ndarray, title: str = "", *, smooth: bool = False) -> None:
    """One picture without ticks or frame."""
    axes.imshow(pixels, interpolation="bilinear" if smooth else "nearest", aspect="equal")
    blank(axes)
    if title:
        axes.set_title(title)


def leave_out(grid: np.ndarray) -> None:
    """Show nothing in these axes: they only keep the others from growing over the page."""
    for axes in grid.ravel():
        axes.set_axis_off()


def blank(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def dead_tile(axes: Axes, why: str = "dead") -> None:
    """An empty frame that says why there is nothing to see."""
    axes.set_facecolor("white")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#d55e00")
    axes.text(
        0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes, color="#d55e00", fontsize=5.5
    )


def stages_of(arrays: Mapping[str, np.ndarray], key: str) -> list[str]:
    """The stages that have an array ``<stage>/<key>``, in their order."""
    return [name.removesuffix(f"/{key}") for name in arrays if name.endswith(f"/{key}")]
