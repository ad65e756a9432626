"""Colours for numbers in tables: scales that colour-blind readers can follow, each cell with its number."""

from __future__ import annotations

import math
from dataclasses import replace

from robustness.report.document import Cell

SEQUENTIAL = ("#ffffff", "#fde3cf", "#f9b98a", "#e8813f", "#b84b0e", "#7a2b05")
"""White to dark brown: the more, the darker (lightness falls throughout)."""
DIVERGING = ("#542788", "#998ec3", "#d8daeb", "#f7f7f7", "#fee0b6", "#f1a340", "#b35806")
"""Purple (−1) over white (0) to orange (+1), the ends told apart by all kinds of colour vision."""
VERDICT_FILLS = {"pass": "#dcebf5", "warn": "#f6d58a", "fail": "#d55e00"}


def shaded(cell: Cell, share: float, scale: tuple[str, ...] = SEQUENTIAL) -> Cell:
    """The cell on the colour at ``share`` (0 to 1, held within) of a scale; as it is where share is NaN."""
    if math.isnan(share):
        return cell
    return replace(cell, fill=colour_at(share, scale))


def colour_at(share: float, scale: tuple[str, ...]) -> str:
    """The colour at ``share`` (0 to 1) of a scale of anchors, as #rrggbb."""
    place = min(max(share, 0.0), 1.0) * (len(scale) - 1)
    first = min(int(place), len(scale) - 2)
    part = place - first
    mixed = [
        round((1 - part) * a + part * b)
        for a, b in zip(_channels(scale[first]), _channels(scale[first + 1]), strict=True)
    ]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def ink_on(fill: str) -> str:
    """Black or white, whichever has the larger contrast on a colour (WCAG relative luminance)."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in _shares(fill)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "#ffffff"


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _shares(colour: str) -> list[float]:
    return [channel / 255 for channel in _channels(colour)]
