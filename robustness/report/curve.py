"""A model's scores over the levels of one factor: what curve figures draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from robustness.report.inputs import Score
from robustness.report.model_table import Model


@dataclass(frozen=True)
class Line:
    """Scores over the levels of something that is no factor, as fractions."""

    levels: Sequence[float]
    scores: Sequence[Score]


@dataclass(frozen=True)
class Curve:
    """Scores of one model over the levels of one factor, as fractions."""

    model: Model
    levels: Sequence[float]
    scores: Sequence[Score]
