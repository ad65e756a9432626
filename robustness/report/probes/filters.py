"""Pictures of the first layer: the filters, and their spectra, orientations and Gabor fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustness.report.plots import style
from robustness.report.probes.canvas import WARNING, panel, picture, shown, tiles
from robustness.report.probes.registry import register

ARRAYS = Mapping[str, np.ndarray]


@register("filters")
def draw(arrays: ARRAYS, folder: Path, classes: Sequence[str] = ()) -> list[Path]:
    """``filters.png``: the bank, in order of frequency; ``filters_fit.svg``: its numbers, filter by
    filter."""
    bank, fit = folder / "filters.png", folder / "filters_fit.svg"
    with picture(bank, 2.2, 2.2 + 0.12 * arrays["dead"].any()) as figure:
        draw_bank(panel(figure, 0.02, 0.02, 2.16), arrays)
    edges = {"left": 0.05, "right": 0.99, "bottom": 0.2, "top": 0.88, "wspace": 0.3}
    with style.figure(fit, style.PAGE_WIDTH, 1.75, edges) as figure:
        draw_numbers(figure, arrays)
    return [bank, fit]


def draw_bank(axes: Axes, arrays: ARRAYS) -> None:
    """All filters, low frequencies first, each scaled to its own range around zero; dead ones crossed out."""
    weights, dead = arrays["weights"], arrays["dead"]
    order = np.argsort(np.where(dead, np.inf, np.nan_to_num(arrays["frequency"])), kind="stable")
    columns = int(np.ceil(np.sqrt(len(order))))
    size = weights.shape[-1]
    scale = max(1, round(24 / size))
    pictures = shown(weights[order], centre=0.0).repeat(scale, axis=1).repeat(scale, axis=2)
    pictures[dead[order]] = 1.0
    axes.imshow(tiles(pictures, columns, gap=2), interpolation="nearest")
    axes.set_axis_off()
    step = size * scale + 2
    for place in np.flatnonzero(dead[order]):
        row, column = divmod(int(place), columns)
        left, top, extent = column * step, row * step, size * scale - 1
        for start, end in ((top, top + extent), (top + extent, top)):
            axes.plot([left, left + extent], [start, end], color=WARNING, linewidth=0.6)
    if dead.any():
        words = f"crossed out: {int(dead.sum())} dead"
        place = {"ha": "center", "va": "top", "transform": axes.transAxes}
        axes.text(0.5, -0.01, words, fontsize=5.5, color=WARNING, **place)


def draw_numbers(figure: Figure, arrays: ARRAYS) -> None:
    """Mean spectrum with the aliasing limit, preferred waves, selectivity, and R² against random filters."""
    live = ~arrays["dead"]
    grid = figure.add_gridspec(1, 4)
    spectrum = figure.add_subplot(grid[0])
    decibels = 20 * np.log10(
        np.maximum(arrays["spectra"], 1e-12) / max(float(arrays["spectra"].max()), 1e-12)
    )
    spectrum.imshow(decibels, extent=(-0.5, 0.5, 0.5, -0.5), cmap="magma", vmin=-30, vmax=0)
    limit = 1 / (2 * int(arrays["stride"]))
    if limit < 0.5:
        square = np.array([-limit, limit])
        for value in square:
            spectrum.plot([value, value], square, "w--", linewidth=0.7)
            spectrum.plot(square, [value, value], "w--", linewidth=0.7)
    spectrum.grid(visible=False)
    spectrum.set_title("mean spectrum (30 dB)")
    spectrum.set_xlabel("cycles/pixel; dashed: aliasing limit" if limit < 0.5 else "cycles/pixel")

    waves = figure.add_subplot(grid[1], projection="polar")
    theta, radius = arrays["orientation"][live], arrays["frequency"][live]
    colour = dict(color="#0072b2", s=6, alpha=0.7, linewidths=0)
    waves.scatter(theta, radius, **colour)
    waves.scatter(theta + np.pi, radius, **colour)
    waves.set_rlim(0, 0.6)
    waves.set_rticks([0.25, 0.5], ["¼", "½"])
    waves.set_xticks(np.radians([0, 45, 90, 135, 180, 225, 270, 315]), [""] * 8)
    waves.set_title("waves (cycles/pixel)")

    selectivity = figure.add_subplot(grid[2])
    values = arrays["selectivity"][live]
    selectivity.hist(values[np.isfinite(values)], bins=np.linspace(0, 1, 11), color="#009e73")
    selectivity.set_title("orientation selectivity")
    selectivity.set_ylabel("filters")

    fit = figure.add_subplot(grid[3])
    values = arrays["gabor_r2"][live]
    fit.hist(values[np.isfinite(values)], bins=np.linspace(0, 1, 11), color="#0072b2")
    if arrays["weights"].shape[-1] <= 3:
        fit.set_yticks([])
        fit.text(0.45, 0.5, "kernel too small", ha="center", va="center", transform=fit.transAxes)
    fit.axvline(float(arrays["gabor_r2_null"]), color="#d55e00", linewidth=1, linestyle="--")
    fit.set_title("Gabor fit R²")
    fit.set_xlabel("dashed: random filters")
