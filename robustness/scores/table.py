"""The tidy table of scores, and what turns bootstrap draws into its rows."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from robustness.errors import UserError, nearest
from robustness.scores.conditions import Key
from robustness.statistics.bootstrap import percentiles
from robustness.statistics.proportions import CONFIDENCE, wilson

COLUMNS = ("model", "metric", *Key._fields, "value", "low", "high", "n")
"""``metric`` is the name of the :class:`Key` in the columns after it; ``low`` and ``high`` bound the 95 %
interval (NaN: none); ``n`` is the number of objects (of units, for probes) that the interval resamples."""

REQUIRED = ("model", "metric", "value", "low", "high", "n")
"""The columns that readers of single metrics need."""


class Metric(NamedTuple):
    """One score under every draw: ``draws`` (1 + R,), the first being that of the data itself.

    ``n``: objects that carry it; ``proportion``: it is a share of samples, so that a value of 0 or 1 without
    spread gets Wilson's bound instead of a certainty that the data do not support; ``selected``: it belongs
    to the condition that is worst in the data, so that two models may differ in the condition too.
    """

    key: Key
    draws: np.ndarray
    n: int
    proportion: bool = False
    selected: bool = False

    @property
    def name(self) -> str:
        """The metric's name."""
        return str(self.key)


def require(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Raise UserError if the table ``what`` lacks one of the columns."""
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise UserError(f"table {what}: lacks the column {missing[0]!r}; needs {', '.join(columns)}")


def rows(model: str, metrics: Iterable[Metric], confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Rows of scores for one model. A metric without a value (NaN) and without a bound is left out."""
    metrics = list(metrics)
    if not metrics:
        return empty()
    draws = np.stack([metric.draws for metric in metrics], axis=1)
    if len(draws) > 1:
        low, high = percentiles(draws[1:], confidence)
    else:
        low = high = np.full(len(metrics), np.nan)
    low, high = np.array(low), np.array(high)
    for index, metric in enumerate(metrics):
        value = draws[0, index]
        if metric.n < 2:
            low[index] = high[index] = np.nan
        elif metric.proportion and low[index] == high[index] and value in (0.0, 1.0):
            bounds = wilson(round(value * metric.n), metric.n, confidence=confidence)
            low[index], high[index] = bounds.low, bounds.high
    table = pd.DataFrame(
        {
            "model": model,
            "metric": [metric.name for metric in metrics],
            **dict(zip(Key._fields, zip(*(metric.key for metric in metrics), strict=True), strict=True)),
            "value": draws[0],
            "low": low,
            "high": high,
            "n": np.array([metric.n for metric in metrics], dtype=np.int64),
        }
    )
    # Beyond the last level measured: the bound stays, the value is unknown.
    for column in ("value", "low", "high"):
        table[column] = table[column].where(np.isfinite(table[column]))
    return table[table[["value", "low", "high"]].notna().any(axis=1)].reset_index(drop=True)


def empty() -> pd.DataFrame:
    """A table of scores without rows."""
    kinds = {"value": float, "low": float, "high": float, "n": np.int64}
    return pd.DataFrame({name: pd.Series(dtype=kinds.get(name, str)) for name in COLUMNS})


def join(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables of scores one under the other; none gives the empty table."""
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else empty()


def metrics_matching(names: Iterable[str], patterns: str | Sequence[str]) -> list[str]:
    """The metric names that match a pattern (or one of several), in the order of ``names``, each once.

    Patterns are those of a shell: ``probe/*`` matches every metric that begins so. Raises UserError for a
    pattern that matches nothing.
    """
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    names = list(dict.fromkeys(names))
    chosen: dict[str, None] = {}
    for pattern in patterns:
        found = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
        if not found:
            raise UserError(f"metric {pattern!r}: the scores have none that match; {nearest(pattern, names)}")
        chosen.update(dict.fromkeys(found))
    return [name for name in names if name in chosen]


def wide(scores: pd.DataFrame, metrics: Sequence[str], column: str = "value") -> pd.DataFrame:
    """Models × metrics of one column of the scores (NaN where a model has none), rows in sorted order."""
    require(scores, REQUIRED, "scores")
    chosen = scores[scores["metric"].isin(set(metrics))]
    doubled = chosen.duplicated(["model", "metric"])
    if doubled.any():
        first = chosen[doubled].iloc[0]
        raise UserError(f"table scores: {first['metric']!r} of {first['model']!r} stands there twice")
    return chosen.pivot(index="model", columns="metric", values=column).reindex(columns=list(metrics))
