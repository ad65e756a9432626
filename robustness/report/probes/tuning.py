"""The tuning of a model's stem, property by property, over the published distributions of macaque V1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from robustness.report.plots.distributions import PUBLISHED, Panel, cumulative_panels
from robustness.report.probes.registry import register

TITLES = {
    "circular_variance": "circular variance",
    "orientation_bandwidth": "orientation, half width (°)",
    "orthogonal_ratio": "orthogonal / preferred",
    "modulation_ratio": "F1/F0",
    "preferred_frequency": "frequency (cycles/°)",
    "frequency_selectivity": "frequency, low / high (%)",
    "suppression_index": "suppression index",
    "summation_field": "summation field (°)",
}
OCTAVES = ("preferred_frequency", "summation_field")
LAYERS = {"cells": {"color": "#0072b2"}, "stem": {"color": "#000000"}}
V1 = {"macaque V1": PUBLISHED}


@register("tuning")
def draw(arrays: Mapping[str, np.ndarray], folder: Path, classes: Sequence[str] = ()) -> list[Path]:
    """``tuning.svg``: cumulative distributions of the stem's units, and of a V1 block's cells."""
    path = folder / "tuning.svg"
    lines = {name: look for name, look in LAYERS.items() if f"{name}/circular_variance" in arrays}
    cumulative_panels(path, panels({name: (arrays, name) for name in lines}), lines, V1 | lines)
    return [path]


def panels(shown: Mapping[str, tuple[Mapping[str, np.ndarray], str]]) -> list[Panel]:
    """One panel per property. ``shown``: name of a line → a model's arrays, and the layer of them."""
    published = next(iter(shown.values()))[0]
    return [
        Panel(
            title,
            published[f"published/{name}/edges"],
            published[f"published/{name}/counts"],
            {line: arrays[f"{layer}/{name}"] for line, (arrays, layer) in shown.items()},
            octaves=name in OCTAVES,
        )
        for name, title in TITLES.items()
    ]
