"""Corruption errors of Hendrycks & Dietterich (2019), normalised by a model of the same run; categories.

- ``corruption/<name>/ce`` = Σ_s E_s / Σ_s E_s of the normaliser, over the severities s that both have
- ``corruption/mce`` = mean of ce over corruptions; 1 is the normaliser's own
- ``corruption/relative_mce``: the same with Σ_s (E_s − E_clean) above and below, if the
  normaliser is a model of the table

With data of one's own the normaliser is one's own AlexNet, so the numbers do not compare with published mCE;
labels say so.

Their four categories are levels of the pseudo-factor ``category``: ``corruption/category/noise/accuracy``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence

import numpy as np

from robustness.errors import UserError
from robustness.scores.cluster_sums import Totals, ratio
from robustness.scores.conditions import CLEAN, Condition
from robustness.scores.table import Metric

SHIFT = "corruption"

ALEXNET_IMAGENET_C: dict[str, float] = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
}
"""AlexNet's mean errors on ImageNet-C (Hendrycks & Dietterich 2019): the normaliser for that set alone."""

CATEGORIES: dict[str, tuple[str, ...]] = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
"""The fifteen corruptions of ImageNet-C in the groups of Hendrycks & Dietterich (2019), figure 1."""


def category(factor: Condition) -> Condition | None:
    """The category that a corruption belongs to; None for one of no category and for other factors."""
    names = [name for name, members in CATEGORIES.items() if factor.factor in members]
    return Condition(SHIFT, "category", names[0]) if factor.shift == SHIFT and names else None


def metrics(
    totals: Totals, by_path: Mapping[str, list[Condition]], reference: Totals | Mapping[str, float] | None
) -> Iterator[Metric]:
    """Corruption errors of one model, if there is a normaliser and there are corruptions."""
    errors, relative, supports = [], [], []
    for conditions in by_path.values():
        shift, name, _ = conditions[0]
        if shift != SHIFT or reference is None:
            continue
        columns = [condition for condition in conditions if condition.level != "0"]
        if isinstance(reference, Totals):
            columns = [column for column in columns if column in reference]
            if not columns:
                continue
            below = _mean_error(reference, columns)
            if CLEAN in totals and CLEAN in reference:
                above_clean = _mean_error(totals, columns) - _error(totals, CLEAN)
                below_clean = below - _error(reference, CLEAN)
                relative.append((above_clean, below_clean))
        else:
            if name not in reference:
                raise UserError(f"normaliser: has no error for {name!r}; has {', '.join(sorted(reference))}")
            below = np.full(totals.draws, reference[name])
        error = ratio(_mean_error(totals, columns), below)
        n = totals.n(*columns)
        yield Metric(Condition(SHIFT, name).score("ce"), error, n)
        errors.append(error)
        supports.append(n)
    if errors:
        yield Metric(Condition(SHIFT).score("mce"), np.mean(errors, axis=0), min(supports))
    # A corruption that costs the normaliser nothing has no relative error.
    usable = [(above, below) for above, below in relative if below[0] > 0]
    if usable and len(usable) == len(relative):
        values = [ratio(above, np.where(below > 0, below, 0.0)) for above, below in usable]
        yield Metric(Condition(SHIFT).score("relative_mce"), np.mean(values, axis=0), min(supports))


def _error(totals: Totals, column: Hashable) -> np.ndarray:
    return 1 - totals.mean(column)


def _mean_error(totals: Totals, columns: Sequence[Hashable]) -> np.ndarray:
    return np.mean([_error(totals, column) for column in columns], axis=0)
