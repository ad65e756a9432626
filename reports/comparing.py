"""Which models are set against each other, and their paired differences: made once, after the tables.

Questions 4 and 7 rest on twins that differ in one axis alone. ``compare_twins`` is called where the tables
are joined, as it takes longer than setting the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import combinations

import pandas as pd

from robustness import scores
from robustness.scores.comparison import COLUMNS
from robustness.statistics import RESAMPLES, holm

AXES: dict[str, tuple[tuple[str, str], ...]] = {
    "frontend": (
        ("vone", "learned"),
        ("gabor", "learned"),
        ("random", "learned"),
        ("learned_noise", "learned"),
        ("gabor_trained", "learned"),
        ("vone", "gabor"),
        ("vone", "learned_noise"),
        ("vone", "random"),
    ),
    "training": (("diverse", "canonical"), ("adversarial", "canonical")),
}
"""Axis → (a, b): the difference is always a − b."""

METRICS = (
    "clean/accuracy",
    "viewpoint/drop",
    "viewpoint/accuracy",
    "viewpoint/worst_view_accuracy",
    "clutter/drop",
    "clutter/accuracy",
    "clutter/bg_gap",
    "corruption/drop",
    "attack/worst_*/eps_*/robust_accuracy",
    "attack/worst_*/area",
)
"""The scores (shell patterns) whose differences the report speaks of."""

_AXES_OF_A_MODEL = ("architecture", "frontend", "training", "width")


def twins(models: pd.DataFrame) -> list[tuple[str, str, str]]:
    """(axis, model a, model b) of the table ``models``: twins that differ in that axis alone."""
    rows = models.drop_duplicates("model").to_dict("records")
    found = []
    for axis, pairs in AXES.items():
        rest = [name for name in _AXES_OF_A_MODEL if name != axis and name in models.columns]
        for first, second in combinations(rows, 2):
            if all(first[name] == second[name] for name in rest):
                for a, b in ((first, second), (second, first)):
                    if (a[axis], b[axis]) in pairs:
                        found.append((axis, str(a["model"]), str(b["model"])))
    return found


def compare_twins(
    predictions: pd.DataFrame,
    attacks: pd.DataFrame,
    models: pd.DataFrame,
    *,
    classes: int,
    seed: int = 0,
    resamples: int = RESAMPLES,
    clean_levels: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Paired differences of all twins: the columns of ``robustness.scores.compare`` and ``axis``.

    ``p_holm`` is corrected, metric by metric, for the twins of one axis. Twins without a table in common
    are left out.
    """
    parts = []
    for axis, a, b in twins(models):
        for table in (predictions, attacks):
            if {a, b} <= set(table["model"]):
                part = scores.compare(
                    table, a, b, classes=classes, seed=seed, resamples=resamples, clean_levels=clean_levels
                )
                parts.append(part[_wanted(part["metric"])].assign(axis=axis))
    if not parts:
        return pd.DataFrame(columns=[*COLUMNS, "axis"])
    result = pd.concat(parts, ignore_index=True)
    for _, rows in result.groupby(["axis", "metric"]).groups.items():
        result.loc[rows, "p_holm"] = holm(result.loc[rows, "p"].to_numpy())
    return result


def _wanted(metrics: Sequence[str]) -> list[bool]:
    return [any(fnmatchcase(metric, pattern) for pattern in METRICS) for metric in metrics]
