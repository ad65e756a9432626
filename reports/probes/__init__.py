"""Pictures of the probes, drawn from the arrays that they return."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robustness.probes.result import ProbeResult


def draw(result: ProbeResult, folder: Path, *, classes: Sequence[str] = ()) -> list[Path]:
    """Draw one probe's pictures into ``folder`` and return their paths.

    ``classes``: the names of the labels, in order; numbers where none are given. Pictures are PNG (300 dpi),
    plots SVG; the file's stem is the probe's name, or begins with it: ``filters.png``, ``filters_fit.svg``.
    """
    module = import_module(f"reports.probes.{result.probe}")
    return module.draw(result.arrays, folder, list(classes))
