"""Which levels and attack budgets the scores hold, and the curves over them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from robustness import shifts
from robustness.report.inputs import ReportInputs, Score
from robustness.report.model_table import Model
from robustness.scores.conditions import number
from robustness.statistics.proportions import CONFIDENCE, mean_bounds

REFERENCE = 2.0
"""The L∞ ε (255ths) of the summary: at 4/255 next to nothing stands of nets without a defence."""

Levels = Sequence[tuple[float, str]]
"""(level, metric) pairs, ascending."""


def levels(inputs: ReportInputs, shift: str, factor: str, statistic: str = "accuracy") -> Levels:
    """The numeric levels of a factor and the metrics of a statistic at them; of an attack (``attack``,
    ``worst_linf``, ``robust_accuracy``) its ε (L∞ in 255ths)."""
    found = [
        (number(key.level), metric)
        for metric, key in inputs.keys.items()
        if (key.shift, key.factor, key.statistic) == (shift, factor, statistic)
    ]
    return sorted(pair for pair in found if pair[0] == pair[0])


def budgets(inputs: ReportInputs, attack: str) -> Levels:
    """(ε, metric of robust accuracy) of an attack such as ``worst_linf``; L∞ in 255ths; 0: clean."""
    return levels(inputs, "attack", attack, "robust_accuracy")


def curves(inputs: ReportInputs, models: Iterable[Model], pairs: Levels) -> pd.DataFrame:
    """Scores over levels in per cent: columns model, level, value, low, high; models with two points or
    more."""
    rows = []
    for model in models:
        known = [(level, s) for level, metric in pairs if (s := inputs.score(model.name, metric)) is not None]
        if len(known) < 2:
            continue
        rows += [(model.name, level, 100 * s.value, 100 * s.low, 100 * s.high) for level, s in known]
    return pd.DataFrame(rows, columns=["model", "level", "value", "low", "high"])


def factor_curves(inputs: ReportInputs, models: Iterable[Model], shift: str, factor: str) -> pd.DataFrame:
    """Accuracy over a factor's numeric levels (see :func:`curves`); at its clean level the clean accuracy."""
    pairs = levels(inputs, shift, factor)
    clean = shifts.get(f"{shift}/{factor}").clean_level
    if pairs and isinstance(clean, (int, float)) and clean not in [level for level, _ in pairs]:
        pairs = sorted([(float(clean), "clean/accuracy"), *pairs])
    return curves(inputs, models, pairs)


def attack_curves(inputs: ReportInputs, models: Iterable[Model], attack: str) -> pd.DataFrame:
    """Robust accuracy over ε (see :func:`curves`); at ε = 0 the accuracy on the attacked images."""
    return curves(inputs, models, budgets(inputs, attack))


def axis_label(shift: str, factor: str) -> str:
    """A factor's name with its unit, as an axis label."""
    entry = shifts.get(f"{shift}/{factor}")
    unit = {"degrees": "°", "objects": "number", "kind": ""}.get(entry.unit, entry.unit)
    return f"{factor} ({unit})" if unit else factor


def reference_budget(inputs: ReportInputs) -> tuple[float, str] | None:
    """The L∞ budget of the summary: 2/255 where it was measured, else the middle one; with its metric."""
    known = [(e, metric) for e, metric in budgets(inputs, "worst_linf") if e > 0]
    if not known:
        return None
    return next(((e, metric) for e, metric in known if e == REFERENCE), known[len(known) // 2])


def chance(inputs: ReportInputs) -> float:
    """The accuracy of guessing."""
    return 1 / len(inputs.data.classes)


def majority(inputs: ReportInputs) -> float:
    """The clean accuracy of always naming the most frequent class; that of guessing without predictions."""
    return inputs.majority or chance(inputs)


def over_architectures(values: Iterable[tuple[Model, float]]) -> Score:
    """The mean over architectures of the means over their models; ``n``: how many architectures there are, of
    which several give Student's interval."""
    groups: dict[str, list[float]] = {}
    for model, value in values:
        groups.setdefault(model.architecture, []).append(value)
    means = np.array([np.mean(own) for own in groups.values()])
    if len(means) < 2:
        return Score(float(means.mean()) if len(means) else math.nan, n=len(means))
    low, high = mean_bounds(means, confidence=(1 + CONFIDENCE) / 2)
    return Score(float(means.mean()), low, high, len(means))


def learned_the_task(inputs: ReportInputs, model: Model) -> bool:
    """Whether the interval of the clean accuracy lies above what the most frequent class gives: else drops
    say nothing."""
    clean = inputs.score(model.name, "clean/accuracy")
    return clean is not None and clean.low > majority(inputs)


def failed_the_task(inputs: ReportInputs, model: Model) -> bool:
    """Whether the clean accuracy is known, and not above what the most frequent class gives."""
    return inputs.score(model.name, "clean/accuracy") is not None and not learned_the_task(inputs, model)
