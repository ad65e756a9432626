"""Interventions on one axis, for question 7: data, front-end, architecture; what each brings and costs."""

from __future__ import annotations

from dataclasses import dataclass

from robustness.report import conditions
from robustness.report.context import ReportContext
from robustness.report.document import EMPTY, Answer, Cell, Figure, Table, columns
from robustness.report.inputs import Difference, Score
from robustness.report.model_table import Model
from robustness.report.plots.dots import DotPanel, Row, dot_rows
from robustness.report.sections import twins
from robustness.report.wording import count_cell, loss, number, share, told
from robustness.scores.conditions import SHIFTS

INTERVENTIONS = {
    "diverse training": ("learned", "diverse"),
    "adversarial training": ("learned", "adversarial"),
    "V1 front-end": ("vone", "canonical"),
    "V1 front-end, diverse": ("vone", "diverse"),
}
"""Intervention → (front-end, training) that replace learned stem and canonical training."""

SHOWN = ("pose", "plane", "clutter", "robust", "clean")
BEST = "best architecture"
BEST_WORDS = (
    "Best architecture: the best less the median model with learned stem and canonical training, chosen anew "
    "for every panel by these images, which flatters it."
)


@dataclass(frozen=True)
class Intervention:
    """One change of a model: its name, the changed model and the plain one."""

    name: str
    changed: Model
    plain: Model


def interventions(context: ReportContext) -> list[Intervention]:
    """Those of each model with learned stem and canonical training whose training was changed, too."""
    found = []
    for plain in context.models.where(frontend="learned", training="canonical"):
        own = [
            Intervention(name, model, plain)
            for name, (frontend, training) in INTERVENTIONS.items()
            for model in context.models.twins(plain, frontend=frontend, training=training)
        ]
        if any(each.changed.training != "canonical" for each in own):
            found += own
    return found


def figure(context: ReportContext) -> Figure | None:
    """Paired differences of all interventions, one row each, one panel per score; None without any."""
    rows = interventions(context)
    panels = []
    for measure in _shown(context):
        scores: list[Score | None] = [_difference(context, each, measure) for each in rows]
        best = context.inputs.best_architecture(measure.metric)
        scores.append(best[2] if best else None)
        if any(score is not None for score in scores):
            panels.append(DotPanel(f"{measure.label}\n(points)", scores, [(0, "no change")]))
    if not rows or not panels:
        return None
    looks = [Row(f"{each.plain.architecture}: {each.name}", each.changed, each.plain.name) for each in rows]
    last = [Row(BEST, rows[0].plain, BEST)]
    if all(panel.scores[-1] is None for panel in panels):
        last, panels = [], [DotPanel(p.label, p.scores[:-1], p.marks) for p in panels]
    dot_rows(context.figure("interventions"), [*looks, *last], panels)
    return Figure.of(
        "interventions",
        "What each intervention gains, and what it costs on clean images: the changed model less the same "
        "architecture with learned stem and canonical training, in points, on the same images, with 95 % "
        f"intervals over objects. Right of the line is better; a bar across it: undecided. {BEST_WORDS}",
    )


def answers(context: ReportContext) -> list[Answer]:
    """One sentence per drop: what the model with most interventions loses, and what each regains."""
    rows = interventions(context)
    if not rows:
        return []
    names = [each.plain.name for each in rows]
    plain = next(each.plain for each in rows if each.plain.name == max(names, key=names.count))
    measures = {measure.metric: measure for measure in _shown(context)}
    found = []
    for shift in ("pose", "plane", "clutter"):
        lost = context.score_of(plain, f"{shift}/drop")
        measure = measures.get(f"{shift}/accuracy")
        if lost is not None and measure is not None:
            words = f"{plain.name} loses {loss(lost)} to {SHIFTS[shift]}; its accuracy there changes by"
            found.append(_answer(context, words, plain, rows, measure))
    robust = measures.get((conditions.reference_budget(context.inputs) or (0, ""))[1])
    kept = context.score_of(plain, robust.metric) if robust is not None else None
    if kept is not None:
        words = f"{plain.name} has a {robust.noun} of {share(kept)}; it changes by"
        found.append(_answer(context, words, plain, rows, robust))
    return [answer for answer in found if answer is not None]


def _answer(
    context: ReportContext, words: str, plain: Model, rows: list[Intervention], measure: twins.Measure
) -> Answer | None:
    pairs = [(each.name, _difference(context, each, measure)) for each in rows if each.plain == plain]
    known = [(name, difference) for name, difference in pairs if difference is not None]
    if not known:
        return None
    changes = [f"{told(difference)} with {name}" for name, difference in known]
    text = f"{words} {', '.join(changes)}"
    best = context.inputs.best_architecture(measure.metric)
    if best is not None:
        text += f". For comparison: {best[0]}, the best architecture, less {best[1]}, the median one: "
        text += told(best[2])
    settled = any(difference.verdict != "undecided" for _, difference in known)
    return Answer(f"{text}.", "found" if settled else "undecided")


def cost(context: ReportContext) -> Table | None:
    """What each intervention costs: clean accuracy, parameters, training images, passes; None without any."""
    clean = twins.measures(None)["clean"]
    rows = []
    for each in interventions(context):
        changed = each.changed
        counts = (changed.parameters, changed.epochs, changed.attack_steps, changed.passes)
        difference = twins.difference_cell(_difference(context, each, clean))
        ratio = _ratio(changed.passes, each.plain.passes)
        name = f"{each.plain.architecture}: {each.name}"
        rows.append([Cell(name), difference, *map(count_cell, counts), ratio])
    if not rows:
        return None
    numbers = ("clean accuracy (points)", "parameters", "epochs", "attack steps per batch",
               "passes in training", "× the plain model's")  # fmt: skip
    return Table(
        "table-cost",
        "The cost of each intervention: the change of clean accuracy (paired, with its 95 % interval over "
        "objects; grey: undecided), the parameters, and the work of training. Passes: images put forward and "
        "back through the network, epochs × images × (1 + attack steps); passes through different "
        "front-ends do not cost the same. No times are given: they depend on the machine.",
        columns("intervention", numbers=numbers),
        rows,
        small=True,
    )


def _ratio(changed: float, plain: float) -> Cell:
    ratio = changed / plain if plain else float("nan")
    return EMPTY if ratio != ratio else Cell(number(ratio, 1), ratio)


def _difference(context: ReportContext, each: Intervention, measure: twins.Measure) -> Difference | None:
    return context.inputs.difference(each.changed.name, each.plain.name, measure.metric)


def _shown(context: ReportContext) -> list[twins.Measure]:
    measures = twins.measures(conditions.reference_budget(context.inputs))
    return [measures[name] for name in SHOWN if name in measures]
