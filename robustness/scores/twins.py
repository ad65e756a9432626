"""Which models are compared, and their paired differences: made once, after the tables.

Questions 4 and 7 rest on twins that differ in one axis alone. ``compare_twins`` is called where the tables
are joined, as it takes longer than setting the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import combinations, permutations

import numpy as np
import pandas as pd

from robustness.scores.comparison import COLUMNS, compare
from robustness.scores.conditions import SHIFTS
from robustness.statistics.bootstrap import RESAMPLES
from robustness.statistics.multiple import holm

AXES: dict[str, tuple[tuple[str, str], ...]] = {
    "frontend": (
        ("vone", "learned"),
        ("gabor", "learned"),
        ("random", "learned"),
        ("learned_noise", "learned"),
        ("gabor_trained", "learned"),
        ("learned_coarse", "learned"),
        ("image_noise", "learned"),
        ("push_pull", "learned"),
        ("scattering", "learned"),
        ("scattering_noise", "learned"),
        ("divisive_normalisation", "learned"),
        ("subcortical", "learned"),
        ("evnet", "learned"),
        ("blurred", "learned"),
        ("vone", "learned_coarse"),
        ("vone", "gabor"),
        ("vone", "learned_noise"),
        ("vone", "image_noise"),
        ("vone", "random"),
        ("vone", "push_pull"),
        ("vone", "scattering"),
        ("scattering_noise", "scattering"),
        ("vone", "scattering_noise"),
        ("divisive_normalisation", "vone"),
        ("evnet", "subcortical"),
        ("evnet", "vone"),
    ),
    "training": (("diverse", "canonical"), ("adversarial", "canonical")),
}
"""Axis → (a, b): the difference is always a − b."""

BOTH = (("vone", "diverse"), ("learned", "canonical"))
"""(front-end, training) of a and of b: twins that differ in both axes at once."""

METRICS = (
    "clean/accuracy",
    *(f"{shift}/{statistic}" for shift in SHIFTS for statistic in ("drop", "accuracy")),
    "pose/worst_view_accuracy",
    "clutter/bg_gap",
    "corruption/category/*/accuracy",
    "cue/shape_share",
    "attack/*/eps_*/robust_accuracy",
    "attack/worst_*/area",
)
"""The scores (shell patterns) whose differences the report speaks of."""

ACCURACIES = (
    "clean/accuracy",
    *(f"{shift}/accuracy" for shift in SHIFTS),
    "attack/worst_*/eps_*/robust_accuracy",
)
"""The scores (shell patterns) in which the best architecture is compared with the median one."""

ARCHITECTURE = "architecture"
"""What stands in the column ``axis`` of these comparisons."""

ELSEWHERE = "elsewhere"
"""The training of models with weights from elsewhere, in a run that trains others."""

_AXES_OF_A_MODEL = ("architecture", "frontend", "training", "width", "seed")


def set_apart(models: pd.DataFrame) -> pd.DataFrame:
    """The table ``models`` with ``training`` *elsewhere* where no image was seen here, if one was in others.

    Weights from elsewhere are neither twins nor replicates of those that were trained beside them.
    """
    absent = models["images"] == 0
    return models.assign(training=models["training"].mask(absent & ~absent.all(), ELSEWHERE))


def twins(models: pd.DataFrame) -> list[tuple[str, str, str]]:
    """(axis, model a, model b) of the table ``models``: twins that differ in that axis alone, or, axis
    ``both``, in front-end and training as ``BOTH`` says.
    """
    rows = models.drop_duplicates("model").to_dict("records")
    found = []
    for axis, pairs in AXES.items():
        rest = [name for name in _AXES_OF_A_MODEL if name != axis and name in models.columns]
        for first, second in combinations(rows, 2):
            if all(first[name] == second[name] for name in rest):
                for a, b in ((first, second), (second, first)):
                    if (a[axis], b[axis]) in pairs:
                        found.append((axis, str(a["model"]), str(b["model"])))
    for a, b in permutations(rows, 2):
        same = all(a[name] == b[name] for name in ("architecture", "width", "seed") if name in models.columns)
        if same and tuple((each["frontend"], each["training"]) for each in (a, b)) == BOTH:
            found.append(("both", str(a["model"]), str(b["model"])))
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
                part = compare(
                    table, a, b, classes=classes, seed=seed, resamples=resamples, clean_levels=clean_levels
                )
                parts.append(part[part["metric"].map(is_wanted)].assign(axis=axis))
    if not parts:
        return pd.DataFrame(columns=[*COLUMNS, "axis"])
    result = pd.concat(parts, ignore_index=True)
    for _, rows in result.groupby(["axis", "metric"]).groups.items():
        result.loc[rows, "p_holm"] = holm(result.loc[rows, "p"].to_numpy())
    return result


def compare_best(
    predictions: pd.DataFrame,
    attacks: pd.DataFrame,
    models: pd.DataFrame,
    scored: pd.DataFrame,
    *,
    classes: int,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """For each of ``ACCURACIES`` the paired difference of the best model less the median one, among those
    with learned stem and canonical training: the columns of ``compare`` and ``axis``.

    ``scored`` is the table ``scores``. Of an even number the upper of the two middle models counts as median,
    which makes the difference smaller. The best was chosen by the very images that it is judged by, so there
    is no p. Empty with fewer than three models.
    """
    plain = models[(models["frontend"] == "learned") & (models["training"] == "canonical")]["model"]
    pairs: dict[tuple[str, str], list[str]] = {}
    for metric, rows in scored[scored["model"].isin(plain)].groupby("metric", sort=False):
        ranked = rows.dropna(subset="value").sort_values(["value", "model"], ascending=[False, True])["model"]
        if _matches(metric, ACCURACIES) and len(ranked) > 2:
            pairs.setdefault((ranked.iloc[0], ranked.iloc[(len(ranked) - 1) // 2]), []).append(metric)
    parts = []
    for (best, median), metrics in pairs.items():
        for table, is_attack in ((predictions, False), (attacks, True)):
            wanted = [metric for metric in metrics if metric.startswith("attack/") == is_attack]
            if wanted and {best, median} <= set(table["model"]):
                parts.append(
                    compare(
                        table, best, median, metrics=wanted, classes=classes, seed=seed, resamples=resamples
                    )
                )
    if not parts:
        return pd.DataFrame(columns=[*COLUMNS, "axis"])
    return pd.concat(parts, ignore_index=True).assign(axis=ARCHITECTURE, p=np.nan, p_holm=np.nan)


def is_wanted(metric: str) -> bool:
    """Whether a score is one whose differences the report speaks of."""
    return _matches(metric, METRICS)


def _matches(metric: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(metric, pattern) for pattern in patterns)
