"""Colours for numbers in tables: scales that colour-blind readers can follow, each cell with its number."""

from __future__ import annotations

import math
from dataclasses import replace

from matplotlib.colors import Colormap, to_hex
from seaborn import blend_palette
from seaborn.utils import relative_luminance

from robustness.report.document import Cell

SEQUENTIAL = blend_palette(["#ffffff", "#fde3cf", "#f9b98a", "#e8813f", "#b84b0e", "#7a2b05"], as_cmap=True)
"""White to dark brown: the more, the darker (lightness falls throughout)."""
DIVERGING = blend_palette(
    ["#542788", "#998ec3", "#d8daeb", "#f7f7f7", "#fee0b6", "#f1a340", "#b35806"], as_cmap=True
)
"""Purple (−1) over white (0) to orange (+1), the ends told apart by all kinds of colour vision."""
VERDICT_FILLS = {"ok": "#dcebf5", "small": "#f6d58a", "weak": "#d55e00", "masked": "#d55e00"}


def shaded(cell: Cell, share: float, scale: Colormap = SEQUENTIAL) -> Cell:
    """The cell on the colour at ``share`` (0 to 1, held within) of a scale; as it is where share is NaN."""
    return cell if math.isnan(share) else replace(cell, fill=to_hex(scale(float(share))))


def ink_on(fill: str) -> str:
    """Black or white, whichever has the larger contrast on a colour (WCAG relative luminance)."""
    return "#000000" if (relative_luminance(fill) + 0.05) ** 2 > 0.05 * 1.05 else "#ffffff"
