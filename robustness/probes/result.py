"""What a probe returns: a tidy table of numbers and the arrays its pictures are drawn from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

COLUMNS = ["model", "layer", "depth", "probe", "unit", "metric", "value"]

ALL_UNITS = "all"
"""The ``unit`` of a row that summarises its layer; the other rows name one unit, start or image."""

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)`` while a probe works; ``done`` and ``total`` count its units."""


@dataclass(frozen=True)
class ProbeResult:
    """The outcome of one probe on one model.

    ``table`` has the columns of :data:`COLUMNS`, one row per number; ``model`` is empty, for the caller to
    fill in (``result.table.assign(model=…)``). ``arrays`` holds what the pictures need under names such as
    ``weights`` or ``middle/images``; it can go into one ``.npz`` file as it is. An array (N, 3, H, W) in
    [0, 1] called ``pictures/<row>`` is a row of the grid that a probe without a picture of its own gets.
    """

    probe: str
    table: pd.DataFrame
    arrays: dict[str, np.ndarray]


@dataclass
class Rows:
    """Collects the rows of one probe's table."""

    probe: str
    depths: Mapping[str, float]
    rows: list[tuple] = field(default_factory=list)

    def add(self, layer: str, metric: str, value: float, *, unit: str | int = ALL_UNITS) -> None:
        """One number; NaN where it is not defined (the probe's docstring says when)."""
        depth = self.depths.get(layer, math.nan)
        self.rows.append(("", layer, depth, self.probe, str(unit), metric, float(value)))

    def add_units(self, layer: str, metric: str, values: np.ndarray, units: list[str] | None = None) -> None:
        """One row per unit, then their mean (over the finite ones) as the layer's own row."""
        values = np.asarray(values, dtype=float)
        for index, value in enumerate(values):
            self.add(layer, metric, value, unit=units[index] if units else index)
        self.add(layer, metric, finite_mean(values))

    def table(self) -> pd.DataFrame:
        frame = pd.DataFrame(self.rows, columns=COLUMNS)
        return frame.astype({"depth": float, "value": float})


def finite_mean(values: np.ndarray) -> float:
    """The mean of the finite entries; NaN if there is none."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else math.nan


def to_numpy(tensor) -> np.ndarray:
    """A tensor as a float32 array on the CPU (integers stay what they are)."""
    tensor = tensor.detach().cpu()
    return tensor.float().numpy() if tensor.is_floating_point() else tensor.numpy()
