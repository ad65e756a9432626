"""Sentences, rows and panels about paired differences, shared by questions 4 and 7."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from robustness.report.conditions import failed_the_task
from robustness.report.context import ReportContext
from robustness.report.document import EMPTY, NOTHING, Answer, Cell, Table, columns
from robustness.report.inputs import Difference, Effect
from robustness.report.model_table import Model
from robustness.report.wording import interval_signed, points
from robustness.scores.conditions import SHIFTS


@dataclass(frozen=True)
class Measure:
    """A score whose difference is spoken of: metric, axis label, noun, and what more and less of it is."""

    metric: str
    label: str
    noun: str

    @property
    def is_drop(self) -> bool:
        """Whether the score is an accuracy lost."""
        return self.metric.endswith("/drop")

    def words(self, higher: bool) -> str:
        """What a change does: raises accuracy under clutter."""
        return f"{'raises' if higher else 'lowers'} {self.noun}"


Pair = tuple[Model, Model]


def measures(robust: tuple[float, str] | None) -> dict[str, Measure]:
    """What is compared, by short name: clean, accuracy and drop under each shift, robust (if measured)."""
    found = {"clean": Measure("clean/accuracy", "clean accuracy", "clean accuracy")}
    for shift, words in SHIFTS.items():
        found[shift] = Measure(f"{shift}/accuracy", f"under {words}", f"accuracy under {words}")
    for shift in SHIFTS:
        found[f"{shift} drop"] = Measure(f"{shift}/drop", f"{shift} drop", f"the {shift} drop")
    if robust is not None:
        budget = f"{robust[0]:g}/255"
        found["robust"] = Measure(robust[1], f"robust, {budget}", f"robust accuracy at L∞ {budget}")
    return found


def known(context: ReportContext, pairs: Sequence[Pair], metric: str) -> list[tuple[Difference, Pair]]:
    """The pairs whose difference a − b was made, largest first."""
    found = [(context.inputs.difference(a.name, b.name, metric), (a, b)) for a, b in pairs]
    return sorted([(d, pair) for d, pair in found if d is not None], key=lambda each: -each[0].value)


def effect_of(context: ReportContext, pairs: Sequence[Pair], metric: str) -> Effect | None:
    """The mean difference over the architectures of these pairs, which differ in one axis alone."""
    a, b = pairs[0]
    axis, held = ("frontend", a.training) if a.frontend != b.frontend else ("training", a.frontend)
    return context.inputs.effect(axis, getattr(a, axis), getattr(b, axis), held, metric)


def sentence_of_many(
    context: ReportContext, subject: str, pairs: Sequence[Pair], measure: Measure
) -> Answer | None:
    """What an exchange does on average over architectures or seeds, and to how many of the pairs."""
    found = known(context, pairs, measure.metric)
    if len(found) < 2:
        return sentence_of_one(context, subject, found[0][1], measure) if found else None
    effect = effect_of(context, [pair for _, pair in found], measure.metric)
    if effect is None:
        return None
    # Those of which the mean is made: a model that did not learn the task is left out, and its twin with it.
    verdicts = [
        difference.verdict
        for difference, pair in found
        if not any(failed_the_task(context.inputs, model) for model in pair)
    ]
    counts = ", ".join(f"{verdicts.count(each)} {each}" for each in ("higher", "lower", "undecided"))
    mean = f"{points(effect)}, the mean of {over(effect)} (of {len(verdicts)} pairs {counts})"
    if effect.verdict == "equivalent":
        return Answer(f"{subject} changes {measure.noun} by less than three points: {mean}.")
    if effect.verdict == "undecided":
        text = f"{subject}: its effect on {measure.noun} is undecided, {mean}; {would_decide(effect)}."
        return Answer(text, "undecided")
    return Answer(f"{subject} {measure.words(effect.verdict == 'higher')}: {mean}.")


def list_of_effects(
    context: ReportContext, subject: str, pairs: Sequence[Pair], measures: Sequence[Measure]
) -> list[Answer]:
    """One sentence with the mean effects on several scores; none without any."""
    effects = {m.noun: effect_of(context, pairs, m.metric) for m in measures} if pairs else {}
    told = [
        f"{points(effect)} {noun}" + ("" if effect.verdict in ("higher", "lower") else f" ({effect.verdict})")
        for noun, effect in effects.items()
        if effect is not None
    ]
    if not told:
        return []
    settled = any(effect is not None and effect.verdict != "undecided" for effect in effects.values())
    return [Answer(f"{subject}: {', '.join(told)}.", "found" if settled else "undecided")]


def over(effect: Effect) -> str:
    """14 architectures; 3 architectures with 2 seeds each; 3 seeds of one architecture; one architecture."""
    if effect.architectures == 1:
        return f"{effect.seeds} seeds of one architecture" if effect.seeds > 1 else "one architecture"
    seeds = f" with {effect.seeds} seeds each" if effect.seeds > 1 else ""
    return f"{effect.architectures} architectures{seeds}"


def would_decide(effect: Effect) -> str:
    """With how many architectures or objects an effect as large as this would be decided."""
    if able := _deciding(effect):
        return f"about {able} would decide an effect this large"
    return f"neither more {_units(effect)} nor more objects alone would decide it"


def _deciding(effect: Effect) -> str:
    """9 architectures or 120 test objects; empty where neither alone would decide."""
    needed = ((effect.needed_architectures, _units(effect)), (effect.needed_objects, "test objects"))
    return " or ".join(f"{count:.0f} {noun}" for count, noun in needed if math.isfinite(count))


def _units(effect: Effect) -> str:
    return "seeds" if effect.architectures == 1 else "architectures"


def undecided(effects: Sequence[tuple[str, Effect]], noun: str) -> Answer:
    """One sentence on what several exchanges, each with its subject, leave open."""
    told = [f"{subject}, {points(effect)} ({_deciding(effect) or NOTHING})" for subject, effect in effects]
    return Answer(
        f"Undecided is what {len(effects)} exchanges do to {noun} (in brackets about how many would "
        f"decide an effect this large; {NOTHING}: neither kind alone): {'; '.join(told)}.",
        "undecided",
    )


def sentence_of_one(context: ReportContext, subject: str, pair: Pair, measure: Measure) -> Answer | None:
    """What an exchange does to one pair."""
    difference = context.inputs.difference(pair[0].name, pair[1].name, measure.metric)
    if difference is None:
        return None
    if difference.verdict == "undecided":
        text = f"{subject}: its effect on {measure.noun} is undecided, {points(difference)}."
        return Answer(text, "undecided")
    effect = measure.words(difference.verdict == "higher")
    return Answer(f"{subject} {effect}: {points(difference)}.")


def table(
    context: ReportContext, name: str, caption: str, pairs: Sequence[Pair], spoken: Iterable[Measure]
) -> Table | None:
    """One row per pair with its differences; ``*`` marks those that stand after Holm's correction."""
    spoken = [measure for measure in spoken if known(context, pairs, measure.metric)]
    rows = []
    for a, b in pairs:
        cells = [difference_cell(context.inputs.difference(a.name, b.name, m.metric)) for m in spoken]
        if any(cell.text != NOTHING for cell in cells):
            rows.append([Cell(f"{a.name} − {b.name}", mono=True), *cells])
    if not rows:
        return None
    head = columns("difference (points)", numbers=[measure.label for measure in spoken])
    return Table(name, caption, head, rows, small=True, html_only=True)


def difference_cell(difference: Difference | None) -> Cell:
    """A difference with interval; a star where Holm's p is at most 0.05; muted where undecided."""
    if difference is None:
        return EMPTY
    star = "*" if difference.p_holm <= 0.05 else ""
    tone = "muted" if difference.verdict == "undecided" else ""
    return Cell(interval_signed(difference) + star, difference.value, tone)
