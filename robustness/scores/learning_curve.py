"""Scores of one model after training on shares of the data: what would more objects, or more views, bring?

The table has the columns of ``predictions`` and, constant for a ``model`` (one training): ``axis``
(``objects``, ``views``, or ``all`` for the whole data, which ends both curves), ``share`` (0–1], and the
numbers of training ``objects``, ``images`` and ``epochs``.
"""

from __future__ import annotations

import pandas as pd

from robustness.scores.comparison import COLUMNS as COMPARED
from robustness.scores.comparison import compare
from robustness.scores.predictions import from_predictions
from robustness.scores.table import require
from robustness.statistics.bootstrap import RESAMPLES
from robustness.statistics.multiple import holm

METRICS = ("clean/accuracy", "pose/accuracy", "clutter/accuracy")
FACTS = ("model", "axis", "share", "objects", "images", "epochs")
COLUMNS = (*FACTS, "metric", "value", "low", "high", "n")
ALL = "all"
AXIS = "learning_curve"
"""What stands in the column ``axis`` of comparisons between two shares."""


def from_learning_curve(
    table: pd.DataFrame, *, classes: int, seed: int = 0, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """``COLUMNS``: one row per (axis, share, metric of ``METRICS``), shares ascending, with intervals that
    resample objects; the training on the whole data stands in every axis. Empty for an empty table.

    Raises UserError for a missing column.
    """
    require(table, FACTS, "learning_curve")
    if table.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    scores = from_predictions(table, classes=classes, seed=seed, resamples=resamples)
    scores = scores[scores["metric"].isin(METRICS)]
    joined = trainings(table).merge(scores, on="model")
    return joined.sort_values(["axis", "share"], kind="stable", ignore_index=True)[list(COLUMNS)]


def trainings(table: pd.DataFrame) -> pd.DataFrame:
    """``FACTS`` of the trainings by axis, shares ascending; the training on the whole data ends each axis."""
    facts = table[list(FACTS)].drop_duplicates("model")
    axes = [axis for axis in facts["axis"].unique() if axis != ALL]
    whole = facts[facts["axis"] == ALL]
    parts = [facts[facts["axis"] != ALL], *(whole.assign(axis=axis) for axis in axes)]
    return pd.concat(parts, ignore_index=True).sort_values(["axis", "share"], ignore_index=True)


def compare_largest(
    table: pd.DataFrame, *, classes: int, seed: int = 0, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Paired differences, largest less second largest share of each axis: the columns of ``compare`` and
    ``axis``; ``p_holm`` is corrected, metric by metric, for the axes. Empty where no axis has two shares."""
    require(table, FACTS, "learning_curve")
    parts = []
    for _, points in trainings(table).groupby("axis"):
        if len(points) > 1:
            second, first = points["model"].iloc[-2:]
            found = compare(table, first, second, classes=classes, seed=seed, resamples=resamples)
            parts.append(found[found["metric"].isin(METRICS)].assign(axis=AXIS))
    if not parts:
        return pd.DataFrame(columns=[*COMPARED, "axis"])
    result = pd.concat(parts, ignore_index=True)
    for _, rows in result.groupby("metric").groups.items():
        result.loc[rows, "p_holm"] = holm(result.loc[rows, "p"].to_numpy())
    return result
