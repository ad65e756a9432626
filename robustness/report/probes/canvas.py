"""What the probe pictures share: saving, tiles, colours of classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from robustness.report.image_grid import image_grid

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


DPI = 200
"""Of a picture: over the whole width of the page somewhat more pixels than the report shows."""
LEAST_COLUMNS = 8
"""Of a grid over the whole width: a few pictures do not fill a page."""
GAP, MARGIN = 0.04, 0.02
"""Inches between tiles, and around all."""
WARNING = "#d55e00"


class _Behind(Artist):
    """Pixels uint8 (H, W, 3) that fill a figure, behind all else, as they are (an image of matplotlib's is
    resampled, which takes longer than the rest of the figure)."""

    def __init__(self, pixels: np.ndarray) -> None:
        super().__init__()
        self._pixels = pixels
        self.set_zorder(-1)

    def draw(self, renderer: RendererBase) -> None:
        opaque = np.full((*self._pixels.shape[:2], 1), 255, np.uint8)
        upside_down = np.concatenate([self._pixels, opaque], axis=2)[::-1]
        renderer.draw_image(renderer.new_gc(), 0, 0, np.ascontiguousarray(upside_down))


@contextmanager
def picture(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of ``width`` × ``height`` inches, saved as PNG when the block ends well."""
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(width, height), dpi=DPI)
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Software": None})


def panel(figure: Figure, left: float, top: float, side: float) -> Axes:
    """Square axes at a place in inches from the figure's upper left corner."""
    width, height = figure.get_size_inches()
    return figure.add_axes((left / width, 1 - (top + side) / height, side / width, side / height))


class Sheet:
    """Square tiles in rows and columns, with words beside, above and below them.

    One pair of axes in inches holds the words, and one image behind them the tiles: axes or images of their
    own for each of a hundred tiles take many times as long.
    """

    def __init__(
        self, axes: Axes, pixels: np.ndarray, left: float, top: float, tile: float, pitch: float
    ) -> None:
        self._axes, self._pixels = axes, pixels
        self._left, self._top = left, top
        self._tile, self._pitch = tile, pitch

    def image(self, row: int, column: int, pixels: np.ndarray, cmap: str | None = None) -> None:
        """One picture: (H, W, 3), uint8 or in [0, 1], or with a ``cmap`` (H, W), clipped to [0, 1]."""
        left, top = self._corner(row, column)
        height, width = pixels.shape[:2]
        across, down = (self._tile * side / max(height, width) for side in (width, height))
        left, top = left + (self._tile - across) / 2, top + (self._tile - down) / 2
        self._paste(pixels, left, top, across, down, cmap)

    def square(self, row: int, column: int, start: float, extent: float) -> None:
        """A grey square on a tile; its corner and its side are shares of the tile."""
        left, top = (edge + start * self._tile for edge in self._corner(row, column))
        side = extent * self._tile
        grey = Rectangle((left, top), side, side, facecolor="#808080", edgecolor="white", linewidth=0.6)
        self._axes.add_patch(grey)

    def dead(self, row: int, column: int, why: str = "dead") -> None:
        """An empty frame that says why there is nothing to see."""
        left, top = self._corner(row, column)
        frame = Rectangle(
            (left, top), self._tile, self._tile, facecolor="white", edgecolor=WARNING, linewidth=0.6
        )
        self._axes.add_patch(frame)
        middle = self._tile / 2
        self._axes.text(
            left + middle, top + middle, why, ha="center", va="center", color=WARNING, fontsize=5.5
        )

    def beside(self, row: int, words: str, size: float) -> None:
        """Words along the left edge of a row."""
        _, top = self._corner(row, 0)
        place = {"ha": "right", "va": "center", "multialignment": "center", "rotation": 90}
        self._axes.text(self._left - 0.03, top + self._tile / 2, words, fontsize=size, **place)

    def above(self, row: int, column: int, words: str, size: float) -> None:
        """Words above a tile."""
        left, top = self._corner(row, column)
        self._axes.text(left + self._tile / 2, top - 0.03, words, ha="center", va="bottom", fontsize=size)

    def below(self, row: int, column: int, words: str, size: float) -> None:
        """Words below a tile."""
        left, top = self._corner(row, column)
        place = (left + self._tile / 2, top + self._tile + 0.03)
        self._axes.text(*place, words, ha="center", va="top", fontsize=size)

    def scale(self, row: int, cmap: str, low: str, high: str) -> None:
        """The colours from the lowest to the highest value, below a row and the words below its tiles."""
        left, top = self._corner(row, 2)
        top += self._tile + 0.2
        self._paste(np.linspace(0, 1, 256)[None], left, top, self._pitch, 0.09, cmap)
        place = {"va": "center", "fontsize": 6}
        self._axes.text(left - 0.04, top + 0.045, low, ha="right", **place)
        self._axes.text(left + self._pitch + 0.04, top + 0.045, high, ha="left", **place)

    def _paste(
        self, pixels: np.ndarray, left: float, top: float, across: float, down: float, cmap: str | None
    ) -> None:
        if cmap is not None:
            pixels = mpl.colormaps[cmap](pixels, bytes=True)[..., :3]
        elif pixels.dtype != np.uint8:
            pixels = (pixels * 255).round().clip(0, 255).astype(np.uint8)
        places = []
        for start, extent, count in ((top, down, len(pixels)), (left, across, pixels.shape[1])):
            first, end = round(start * DPI), round((start + extent) * DPI)
            places.append((slice(first, end), np.arange(end - first) * count // (end - first)))
        (rows, from_rows), (columns, from_columns) = places
        self._pixels[rows, columns] = pixels[np.ix_(from_rows, from_columns)]

    def _corner(self, row: int, column: int) -> tuple[float, float]:
        return self._left + column * (self._tile + GAP), self._top + row * self._pitch


@contextmanager
def sheet(
    path: Path,
    rows: int,
    columns: int,
    *,
    width: float,
    label: float = 0.0,
    head: float = 0.0,
    between: float = 0.0,
    foot: float = 0.0,
) -> Iterator[Sheet]:
    """A sheet of tiles that fill ``width`` inches, saved as PNG when the block ends well.

    Inches for words: ``label`` left of the rows, ``head`` above the first, ``between`` two rows, ``foot``
    below the last.
    """
    left, top = MARGIN + label, MARGIN + head
    tile = (width - left - MARGIN + GAP) / columns - GAP
    pitch = tile + GAP + between
    height = top + rows * pitch - GAP - between + foot + MARGIN
    with picture(path, width, height) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_autoscale_on(False)
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        pixels = np.full((int(height * DPI), int(width * DPI), 3), 255, np.uint8)
        yield Sheet(axes, pixels, left, top, tile, pitch)
        figure.add_artist(_Behind(pixels))


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
    """(N, h, w, 3) in [0, 1], in rows of ``columns`` on white: one array (H, W, 3)."""
    return image_grid([pictures[i : i + columns] for i in range(0, len(pictures), columns)], gap)


def stages_of(arrays: Mapping[str, np.ndarray], key: str) -> list[str]:
    """The stages that have an array ``<stage>/<key>``, in their order."""
    return [name.removesuffix(f"/{key}") for name in arrays if name.endswith(f"/{key}")]
