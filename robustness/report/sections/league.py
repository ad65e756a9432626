"""Of question 4: all front-ends side by side, and whether the V1 block beats noise on the pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from robustness.report.conditions import over_architectures
from robustness.report.context import ReportContext
from robustness.report.document import EMPTY, Answer, Cell, Figure, Table, columns
from robustness.report.inputs import Effect, Score
from robustness.report.plots.dots import pair_rows
from robustness.report.sections import physiology, twins
from robustness.report.wording import interval, interval_signed, number, plain_cell, points

FEWEST = 4
"""With fewer front-ends a league has nothing to tell that pairs do not."""
MOST_CURVES = 6
"""More curves than this in one panel cannot be told apart."""
AREA = "attack/worst_linf/area"
NOISE_LEVEL = "probe/filters/stem/noise_equivalent_sd"
MEASURES = (
    ("clean", "clean/accuracy"),
    ("pose", "pose/accuracy"),
    ("clutter", "clutter/accuracy"),
    ("corruption", "corruption/accuracy"),
    ("robust area", AREA),
)
LEARNED, V1, NOISE = "learned", "vone", "image_noise"


def frontends(context: ReportContext) -> list[str]:
    """The front-ends of canonical training that have a mean effect, the most robust first; learned counts as
    no effect, and what was not attacked comes last."""
    names = dict.fromkeys(model.frontend for model in context.models.where(training="canonical"))
    known = [name for name in names if any(_effect(context, name, metric) for _, metric in MEASURES)]
    gains = {name: effect.value for name in known if (effect := _effect(context, name, AREA)) is not None}
    gains[LEARNED] = 0.0
    return sorted(known, key=lambda name: -gains.get(name, -np.inf))


def table(context: ReportContext) -> Table | None:
    """One row per front-end, means over architectures; None with fewer than ``FEWEST`` front-ends."""
    names = frontends(context)
    if len(names) < FEWEST:
        return None
    known = [(title, m) for title, m in MEASURES if any(_effect(context, name, m) for name in names)]
    rows = [
        [
            Cell(name.replace("_", " ")),  # may be broken into lines
            Cell(_units(context, name, [metric for _, metric in known])),
            *(_effect_cell(name, _effect(context, name, metric)) for _, metric in known),
            plain_cell(likeness(context, name)),
            plain_cell(noise_level(context, name)),
            plain_cell(_cost(context, name).value),
        ]
        for name in names
    ]
    caption = (
        "The front-ends, the most robust first. Row learned: its mean accuracy (%) over architectures; other "
        "rows: the mean paired difference from it in points, on the same architectures and images (grey: "
        "undecided). Area: robust accuracy averaged over log ε (L∞). V1-likeness by tuning to gratings, of "
        "the cells where the front-end has a bank of them, else of the stem. Noise: standard deviation "
        "of the pixel noise (0 to 1) that hides as much of the difference between natural images. Cost: "
        "multiply-adds of the whole network for an image over those of the learned twin, mean over "
        "architectures. Intervals (95 %) are Student's, over architectures and, of accuracies, objects; "
        "seeds are averaged within an architecture, and are what varies where there is one. They are not "
        "corrected for the number of rows."
    )
    numbers = [*(title for title, _ in known), "V1-likeness", "noise", "cost (×)"]
    return Table("table-league", caption, columns("front-end", "over", numbers=numbers), rows, small=True)


def likeness(context: ReportContext, frontend: str) -> Score | None:
    """The mean V1-likeness of a front-end's cells, or of its stem where it has no cells."""
    found = (mean_score(context, frontend, physiology.LIKENESS.format(layer)) for layer in ("cells", "stem"))
    mean = next((score for score in found if score is not None), None)
    return mean and replace(mean, low=max(mean.low, 0.0), high=min(mean.high, 1.0))


def noise_level(context: ReportContext, frontend: str) -> Score | None:
    """The pixel noise that hides as much as a front-end's own, mean over architectures; None: no noise."""
    return mean_score(context, frontend, NOISE_LEVEL)


def mean_score(context: ReportContext, frontend: str, metric: str) -> Score | None:
    """The mean over architectures of a score of a front-end's models; None where none has it, or a finite
    one."""
    models = context.models.where(frontend=frontend, training="canonical")
    scores = ((model, context.score_of(model, metric)) for model in models)
    known = [(model, score.value) for model, score in scores if score and math.isfinite(score.value)]
    return over_architectures(known) if known else None


def figure(context: ReportContext, architectures: Sequence[str]) -> Figure | None:
    """Every front-end less the learned stem, by architecture; for more front-ends than curves can show."""
    names = [name for name in frontends(context) if name != LEARNED]
    series: dict[str, Callable[[str, str], Score | None]] = {}
    looks = {}
    for architecture in architectures:
        pairs = {
            name: next((p for p in context.models.pairs("frontend", name, LEARNED)
                        if p[0].architecture == architecture and p[0].training == "canonical"), None)
            for name in names
        }  # fmt: skip
        own = {name: pair for name, pair in pairs.items() if pair is not None}
        if own:
            look = next(iter(own.values()))[0].look
            looks[architecture] = (look.colour, look.marker)
            series[architecture] = lambda name, metric, own=own: (
                context.inputs.difference(own[name][0].name, own[name][1].name, metric)
                if name in own
                else None
            )
    if len(series) > 1:
        looks["mean"] = ("#000000", "|")
        series["mean"] = lambda name, metric: _effect(context, name, metric)
    panels = {
        f"{title} (points)": {each: [score(name, metric) for name in names] for each, score in series.items()}
        for title, metric in MEASURES
    }
    panels = {title: own for title, own in panels.items() if any(map(any, own.values()))}
    if not panels:
        return None
    pair_rows(
        context.figure("frontend_controls"), names, panels, looks, {title: [(0, "")] for title in panels}
    )
    mean = "; black: the mean over architectures, which are in its interval too" if len(series) > 1 else ""
    return Figure.of(
        "frontend_controls",
        "The front-ends less the learned stem of the same architecture and seed (of several seeds the "
        "first), in points, on the same images, the most robust on top; bars: 95 % intervals over "
        f"objects{mean}. Right of the line is better. Area: robust accuracy averaged over log ε (L∞).",
    )


def against_noise(context: ReportContext) -> Answer | None:
    """Whether the V1 block beats noise on the pixels at equal clean accuracy; None where a run lacks one."""
    pair = ("frontend", V1, NOISE, "canonical")
    robust, clean = (context.inputs.effect(*pair, metric) for metric in (AREA, "clean/accuracy"))
    if robust is None or clean is None:
        return None
    numbers = (
        f"robust accuracy averaged over log ε {points(robust)}, clean accuracy {points(clean)} (vone less "
        f"image_noise, {twins.over(robust)})"
    )
    levels = [noise_level(context, name) for name in (V1, NOISE)]
    if None not in levels:
        numbers += f"; to tell images apart, their noise is as pixel noise of {number(levels[0].value)} and "
        numbers += f"{number(levels[1].value)} (0 to 1)"
    question = "Whether a V1 front-end beats noise on the pixels at equal clean accuracy is undecided"
    open_ones = [
        f"of {noun}, {twins.would_decide(effect)}"
        for noun, effect in (("robust accuracy", robust), ("clean accuracy", clean))
        if effect.verdict == "undecided"
    ]
    if open_ones:
        return Answer(f"{question}: {numbers}; {'; '.join(open_ones)}.", "undecided")
    signs = {"higher": 1, "equivalent": 0, "lower": -1}
    safe, right = signs[robust.verdict], signs[clean.verdict]
    known = (
        f"it is {('as robust, within three points', 'more robust', 'less robust')[safe]}, and "
        f"{('as accurate, within three points,', 'more accurate', 'less accurate')[right]} on clean images: "
        f"{numbers}"
    )
    if safe * right < 0:
        return Answer(f"{question}, as their clean accuracies differ; {known}.", "undecided")
    verb = "beats" if safe + right > 0 else "does not beat"
    return Answer(f"A V1 front-end {verb} noise on the pixels at equal clean accuracy; {known}.")


def _effect(context: ReportContext, frontend: str, metric: str) -> Effect | None:
    """The mean difference of a front-end from the learned stem; of the learned stem the mean itself."""
    axis, other = ("mean", "") if frontend == LEARNED else ("frontend", LEARNED)
    return context.inputs.effect(axis, frontend, other, "canonical", metric)


def _effect_cell(frontend: str, effect: Effect | None) -> Cell:
    if effect is None:
        return EMPTY
    if frontend == LEARNED:
        return Cell(interval(effect), 0.0)  # sorted among the differences from it
    return Cell(interval_signed(effect), effect.value, "muted" if effect.verdict == "undecided" else "")


def _units(context: ReportContext, frontend: str, metrics: Sequence[str]) -> str:
    """Over how many architectures and seeds: 3; 3 × 2 seeds."""
    effect = next(e for metric in metrics if (e := _effect(context, frontend, metric)) is not None)
    return f"{effect.architectures}" + (f" × {effect.seeds} seeds" if effect.seeds > 1 else "")


def _cost(context: ReportContext, frontend: str) -> Score:
    """The mean over architectures of a model's multiply-adds over those of its learned twin."""
    if frontend == LEARNED:
        return Score(1.0)
    pairs = context.models.pairs("frontend", frontend, LEARNED)
    return over_architectures(
        (a, a.multiply_adds / b.multiply_adds) for a, b in pairs if a.training == "canonical"
    )
