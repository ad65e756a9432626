"""Sentences, rows and panels about paired differences, shared by questions 4 and 7."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from robustness.report.context import ReportContext
from robustness.report.document import EMPTY, NOTHING, Answer, Cell, Table, columns
from robustness.report.inputs import Difference
from robustness.report.model_table import Model
from robustness.report.wording import interval_signed, points


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
        """What a change does: raises accuracy under viewpoint; makes the viewpoint drop smaller."""
        if self.is_drop:
            return f"makes {self.noun} {'larger' if higher else 'smaller'}"
        return f"{'raises' if higher else 'lowers'} {self.noun}"


Pair = tuple[Model, Model]


def measures(robust: tuple[float, str] | None) -> dict[str, Measure]:
    """What is compared, by short name: clean, two shifted accuracies, two drops, robust (if measured)."""
    found = {"clean": Measure("clean/accuracy", "clean accuracy", "clean accuracy")}
    for shift in ("viewpoint", "clutter"):
        found[shift] = Measure(f"{shift}/accuracy", f"under {shift}", f"accuracy under {shift}")
    for shift in ("viewpoint", "clutter"):
        found[f"{shift} drop"] = Measure(f"{shift}/drop", f"{shift} drop", f"the {shift} drop")
    if robust is not None:
        budget = f"{robust[0]:g}/255"
        found["robust"] = Measure(robust[1], f"robust, {budget}", f"robust accuracy at L∞ {budget}")
    return found


def known(context: ReportContext, pairs: Sequence[Pair], metric: str) -> list[tuple[Difference, Pair]]:
    """The pairs whose difference a − b was made, largest first."""
    found = [(context.inputs.difference(a.name, b.name, metric), (a, b)) for a, b in pairs]
    return sorted([(d, pair) for d, pair in found if d is not None], key=lambda each: -each[0].value)


def sentence_of_many(
    context: ReportContext, subject: str, pairs: Sequence[Pair], measure: Measure
) -> Answer | None:
    """What an exchange does over several architectures: how often it raises, lowers, leaves undecided."""
    found = known(context, pairs, measure.metric)
    if not found:
        return None
    if len(found) == 1:
        return sentence_of_one(context, f"{subject} ({found[0][1][0].architecture})", found[0][1], measure)
    verdicts = [difference.verdict for difference, _ in found]
    counts = {each: verdicts.count(each) for each in ("higher", "lower", "undecided")}
    (most, (top, _)), (least, (bottom, _)) = found[0], found[-1]
    architectures = {a.architecture for _, (a, _) in found}
    # An architecture may be there with several front-ends: then its name alone does not say which.
    one_each = len(architectures) == len(found)
    things = "architectures" if one_each else "models"
    low, high = (net.architecture if one_each else net.name for net in (bottom, top))
    lower = "smaller" if measure.is_drop else "lowers it"
    text = (
        f"{subject} {measure.words(True)} for {counts['higher']} of {len(found)} {things} and {lower} for "
        f"{counts['lower']}; {counts['undecided']} undecided. It changes by {points(least)} ({low}) to "
        f"{points(most)} ({high})."
    )
    return Answer(text, "undecided" if counts["undecided"] == len(found) else "found")


def sentence_of_one(context: ReportContext, subject: str, pair: Pair, measure: Measure) -> Answer | None:
    """What an exchange does to one pair."""
    difference = context.inputs.difference(pair[0].name, pair[1].name, measure.metric)
    if difference is None:
        return None
    if difference.verdict == "undecided":
        text = f"{subject}: its effect on {measure.noun} is undecided, {points(difference)}."
        return Answer(text, "undecided")
    effect = measure.words(difference.verdict == "higher")
    return Answer(f"{subject} {effect}: {points(difference)}{_caution(context, pair, measure, difference)}.")


def _caution(context: ReportContext, pair: Pair, measure: Measure, difference: Difference) -> str:
    """A drop also shrinks when there is less to lose: say so where clean accuracy fell too."""
    clean = context.inputs.difference(pair[0].name, pair[1].name, "clean/accuracy")
    if not measure.is_drop or difference.verdict != "lower":
        return ""
    if clean is None or clean.verdict != "lower":
        return ""
    return f", but there is less to lose: clean accuracy falls by {points(clean)}"


def table(
    context: ReportContext, name: str, caption: str, pairs: Sequence[Pair], spoken: Iterable[Measure]
) -> Table | None:
    """One row per pair with its differences; ``*`` marks those that stand after Holm's correction."""
    spoken = list(spoken)
    rows = []
    for a, b in pairs:
        cells = [difference_cell(context.inputs.difference(a.name, b.name, m.metric)) for m in spoken]
        if any(cell.text != NOTHING for cell in cells):
            rows.append([Cell(f"{a.name} − {b.name}", mono=True), *cells])
    if not rows:
        return None
    head = columns("difference (points)", numbers=[measure.label for measure in spoken])
    return Table(name, caption, head, rows, small=True)


def difference_cell(difference: Difference | None) -> Cell:
    """A difference with interval; a star where Holm's p is at most 0.05; muted where undecided."""
    if difference is None:
        return EMPTY
    star = "*" if difference.p_holm <= 0.05 else ""
    tone = "muted" if difference.verdict == "undecided" else ""
    return Cell(interval_signed(difference) + star, difference.value, tone)
