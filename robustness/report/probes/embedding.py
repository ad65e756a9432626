"""The map of the last layer: one point per image, and where shifted or attacked images fall in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from robustness.report.plots import style
from robustness.report.probes.canvas import class_name, class_style, panel, picture
from robustness.report.probes.registry import register

MAPS_ACROSS = 5
MOVES_ACROSS, ARROWS = 3, 16
"""Panels that a page is wide for, and how many arrows of each condition can be told apart."""
GAP, TITLE, LEGEND = 0.05, 0.16, 0.22
"""Inches between maps, for the name above each, for the legend above all."""


@register("embedding")
def draw(arrays: Mapping[str, np.ndarray], folder: Path, classes: Sequence[str] = ()) -> list[Path]:
    """``embedding.png`` of the last stage that was embedded, ``embedding_<stage>.png`` of any other, and
    ``embedding_placed.png`` with arrows to where each condition takes the images."""
    stages = [name.removesuffix("/map") for name in arrays if name.endswith("/map")]
    paths = []
    for stage in stages:
        path = folder / ("embedding.png" if stage == stages[-1] else f"embedding_{stage}.png")
        columns = 3 if max(map(len, classes), default=0) > 7 else 4
        rows = -(-len(np.unique(arrays["labels"])) // columns)
        with picture(path, 2.2, 2.24 + 0.105 * rows) as figure:
            axes = panel(figure, 0.02, 0.02, 2.16)
            scatter(axes, arrays[f"{stage}/map"], arrays["labels"], classes)
            figure.legend(loc="lower center", ncols=columns, handletextpad=0, columnspacing=0.4,
                          borderpad=0, markerscale=1.3, fontsize=4.5)  # fmt: skip
        paths.append(path)
    placed = [name.removeprefix("places/") for name in arrays if name.startswith("places/")]
    if placed:
        paths.append(folder / "embedding_placed.png")
        _draw_moves(paths[-1], arrays, stages[-1], placed, classes)
    return paths


def _draw_moves(
    path: Path,
    arrays: Mapping[str, np.ndarray],
    stage: str,
    conditions: Sequence[str],
    classes: Sequence[str],
) -> None:
    """A panel per condition: from an image's place to its place under the condition, in its class's colour;
    thick if it ends nearest to another class's centre in the space that the map is of."""
    across = max(MOVES_ACROSS, len(conditions))
    side = (style.PAGE_WIDTH - GAP * (across - 1)) / across
    points, labels = arrays[f"{stage}/map"], arrays["labels"]
    top = LEGEND + 0.12 * ((len(np.unique(labels)) - 1) // 10) + TITLE
    with picture(path, style.PAGE_WIDTH, top + side) as figure:
        for number, name in enumerate(conditions):
            axes = panel(figure, number * (side + GAP), top, side)
            scatter(axes, points, labels, classes, faint=True)
            places = arrays[f"places/{name}"]
            axes.set_title(name)
            if f"{stage}/placed/{name}" not in arrays:  # every image looks alike
                continue
            length = arrays[f"{stage}/moved/{name}"]
            moved = np.isfinite(length)
            starts, ends = (arrays[f"{stage}/{which}/{name}"][moved] for which in ("start", "placed"))
            elsewhere = arrays[f"{stage}/other_class/{name}"][moved] == 1
            drawn = slice(None, None, -(-len(ends) // ARROWS) or None)
            for start, end, label, lost in zip(
                starts[drawn], ends[drawn], labels[places[moved]][drawn], elsewhere[drawn], strict=True
            ):
                axes.annotate("", end, start, arrowprops={
                    "arrowstyle": "-|>,head_width=0.12,head_length=0.25", "color": class_style(label)[0],
                    "linewidth": 1.0 if lost else 0.4, "shrinkA": 0, "shrinkB": 0})  # fmt: skip
            axes.scatter(*ends.T, s=0)  # arrows alone do not widen the axes
            median = np.median(length[moved]) if moved.any() else np.nan
            axes.set_title(f"{name}: {median:.2f}, {elsewhere.sum()} of {len(ends)}")
        handles = dict(zip(*reversed(figure.axes[0].get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles, loc="upper center", ncols=10, markerscale=1.6,
                      handletextpad=0, columnspacing=0.8)  # fmt: skip


def draw_maps(path: Path, maps: Mapping[str, Mapping[str, np.ndarray]], classes: Sequence[str]) -> None:
    """The map of the last stage of several models (name → arrays) on one page, under one legend."""
    across = min(MAPS_ACROSS, len(maps))
    side = (style.PAGE_WIDTH - GAP * (across - 1)) / across
    height = -(-len(maps) // across) * (side + TITLE)
    with style.figure(path, style.PAGE_WIDTH, height + LEGEND, {"left": 0}) as figure:
        for number, (name, arrays) in enumerate(maps.items()):
            row, column = divmod(number, across)
            axes = panel(figure, column * (side + GAP), LEGEND + row * (side + TITLE) + TITLE - GAP, side)
            stage = [key.removesuffix("/map") for key in arrays if key.endswith("/map")][-1]
            scatter(axes, arrays[f"{stage}/map"], arrays["labels"], classes)
            axes.set_title(name, fontsize=6.5, pad=2)
        handles = dict(zip(*reversed(figure.axes[0].get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles, loc="upper center", ncols=10, markerscale=1.6, fontsize=6.5,
                      frameon=False, handletextpad=0, columnspacing=0.8)  # fmt: skip


def scatter(
    axes: Axes, points: np.ndarray, labels: np.ndarray, classes: Sequence[str], *, faint: bool = False
) -> None:
    """One point per image, in its class's colour and marker; ``faint`` for what arrows are drawn over."""
    if not np.isfinite(points).any():
        axes.text(0.5, 0.5, "this layer answers to\nevery image alike", ha="center", va="center",
                  transform=axes.transAxes, color="#d55e00")  # fmt: skip
    for label in np.unique(labels):
        colour, marker = class_style(label)
        chosen = labels == label
        axes.scatter(
            *points[chosen].T, s=5 if not faint else 4, color=colour, marker=marker, linewidths=0,
            alpha=0.45 if faint else 0.85, label=class_name(classes, int(label)),
        )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#bbbbbb")
    axes.margins(0.04)
