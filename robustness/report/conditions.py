"""Which conditions and budgets the scores hold, read off the metric names of design.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from robustness import shifts
from robustness.report.curve import Curve
from robustness.report.inputs import ReportInputs, Score
from robustness.report.model_table import Model
from robustness.statistics.bootstrap import interval_over_objects

_LEVEL = re.compile(r"(?P<shift>[^/]+)/(?P<factor>[^/]+)/(?P<level>[^/]+)/accuracy")
_BUDGET = re.compile(r"attack/(?P<attack>[^/]+)/eps_(?P<epsilon>[0-9.e+-]+)/robust_accuracy")


def numeric_levels(metrics: Iterable[str], shift: str, factor: str) -> list[tuple[float, str]]:
    """(level, metric) of a factor, ascending; levels that are no numbers are left out."""
    found = []
    for metric in metrics:
        match = _LEVEL.fullmatch(metric)
        if match and (match["shift"], match["factor"]) == (shift, factor):
            try:
                found.append((float(match["level"]), metric))
            except ValueError:
                continue
    return sorted(found)


def named_levels(metrics: Iterable[str], shift: str, factor: str) -> list[tuple[str, str]]:
    """(level, metric) of a factor in the order of the scores, whatever the levels are."""
    matches = [(metric, _LEVEL.fullmatch(metric)) for metric in metrics]
    return [
        (m["level"], metric) for metric, m in matches if m and (m["shift"], m["factor"]) == (shift, factor)
    ]


def budgets(metrics: Iterable[str], attack: str) -> list[tuple[float, str]]:
    """(ε, metric) of an attack such as ``worst_linf``, ascending; ε as in the name (L∞ in 255ths)."""
    found = []
    for metric in metrics:
        match = _BUDGET.fullmatch(metric)
        if match and match["attack"] == attack:
            found.append((float(match["epsilon"]), metric))
    return sorted(found)


def attacks(metrics: Iterable[str]) -> list[str]:
    """The attacks (with their norm, as ``pgd_linf``) that have robust accuracies, in order."""
    matches = [_BUDGET.fullmatch(metric) for metric in metrics]
    return list(dict.fromkeys(match["attack"] for match in matches if match))


def curve(inputs: ReportInputs, model: Model, levels: Sequence[tuple[float, str]]) -> Curve | None:
    """The model's scores over (level, metric) pairs; None where it has fewer than two."""
    scores = [(level, inputs.score(model.name, metric)) for level, metric in levels]
    known = [(level, score) for level, score in scores if score is not None]
    return Curve(model, [level for level, _ in known], [s for _, s in known]) if len(known) > 1 else None


def factor_curves(inputs: ReportInputs, models: Iterable[Model], shift: str, factor: str) -> list[Curve]:
    """Accuracy over a factor with numeric levels; its clean level is the clean accuracy."""
    levels = numeric_levels(inputs.metrics, shift, factor)
    clean = shifts.get(f"{shift}/{factor}").clean_level
    if levels and isinstance(clean, (int, float)) and clean not in [level for level, _ in levels]:
        levels = sorted([(float(clean), "clean/accuracy"), *levels])
    return [made for model in models if (made := curve(inputs, model, levels)) is not None]


def attack_curves(inputs: ReportInputs, models: Iterable[Model], attack: str) -> list[Curve]:
    """Robust accuracy over ε; at ε = 0 the accuracy on the attacked images."""
    found = []
    for model in models:
        made = curve(inputs, model, budgets(inputs.metrics, attack))
        if made is None:
            continue
        start = attacked_clean(inputs, model, attack.rpartition("_")[2])
        if start is not None and made.levels[0] > 0:
            made = Curve(model, [0.0, *made.levels], [start, *made.scores])
        found.append(made)
    return found


def attacked_clean(inputs: ReportInputs, model: Model, norm: str) -> Score | None:
    """The accuracy on the images that were attacked in a norm, with its interval over objects."""
    rows = inputs.attacked.get((model.name, norm))
    if rows is None:
        return None
    found = interval_over_objects(
        rows["clean_correct"].to_numpy(dtype=float),
        rows["object"].to_numpy(),
        resamples=inputs.resamples,
        seed=inputs.seed,
        proportion=True,
    )
    return Score(found.value, found.low, found.high, found.n)


def axis_label(shift: str, factor: str) -> str:
    """A factor's name with its unit, as an axis label."""
    entry = shifts.get(f"{shift}/{factor}")
    unit = {"degrees": "°", "objects": "number", "kind": ""}.get(entry.unit, entry.unit)
    return f"{factor} ({unit})" if unit else factor


def reference_budget(inputs: ReportInputs) -> tuple[float, str] | None:
    """The L∞ budget of the summary: 4/255 where it was measured, else the largest one; with its metric."""
    known = [(e, metric) for e, metric in budgets(inputs.metrics, "worst_linf") if e > 0]
    if not known:
        return None
    return next(((e, metric) for e, metric in known if e == 4), known[-1])


def chance(inputs: ReportInputs) -> float:
    """The accuracy of guessing."""
    return 1 / len(inputs.data.classes)


def learned_the_task(inputs: ReportInputs, model: Model) -> bool:
    """Whether the interval of the clean accuracy lies above chance: else drops say nothing."""
    clean: Score | None = inputs.score(model.name, "clean/accuracy")
    return clean is not None and clean.low > chance(inputs)
