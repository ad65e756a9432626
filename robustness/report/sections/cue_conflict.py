"""Shape or material, within question 5: what a network answers for objects in the materials of another
class."""

from __future__ import annotations

from robustness.report.context import ReportContext
from robustness.report.document import Answer, Figure, Table
from robustness.report.plots.dots import pair_rows
from robustness.report.wording import percent, points

HUMANS = 0.959
"""Shape answers of ten people on 1,280 photographs in the texture of another class (R. Geirhos et al., ICLR
2019, figure 4)."""
SHARE = "cue/shape_share"
TABLE = (
    ("shape of either (%)", SHARE),
    ("shape (%)", "cue/shape_answers"),
    ("material (%)", "cue/surface_answers"),
    ("own materials (%)", "clean/accuracy"),
    ("others' materials (%)", "cue/surface/other/accuracy"),
    ("grey (%)", "cue/surface/grey/accuracy"),
    ("black (%)", "cue/surface/black/accuracy"),
)
CAPTION = (
    "Shape or material: test objects in the materials of an object of another class. Shape of either: "
    "answers for the shape among those for the shape or for the class of the materials; then both as shares "
    "of all answers (a net that knows no materials names theirs in a ninth of what it gets wrong, of ten "
    "classes). "
    "Beside them the accuracy with the object's own materials, with others', in even grey (shading alone) "
    "and in black (silhouettes); 95 % intervals over objects."
)


def figure(context: ReportContext) -> Figure | None:
    """The share of shape by architecture, learned and V1 side by side, with the share of people and that of
    random answers as lines."""
    of_either = "answers for the shape, of those for shape or material"
    shown = [(SHARE, of_either), ("cue/surface_answers", "answers for the material, of all")]
    architectures, panels = context.side_by_side(shown)
    if not panels:
        return None
    marks = {f"{of_either} (%)": [(0.5, "at random"), (HUMANS, "humans")]}
    pair_rows(context.figure("cue_conflict"), architectures, panels, marks=marks)
    return Figure.of(
        "cue_conflict",
        "Shape or material: the same objects from the same views in the materials of an object of another "
        "class, by architecture, learned stem and V1 front-end (vone) side by side, with 95 % intervals over "
        "objects. Humans: 95.9 % on photographs in the texture of another "
        "class (Geirhos et al. 2019), where they had 80 % answers for either; ResNet-50 had 22.1 %. Here the "
        "materials, most of one colour, say less of a class than the texture of a photograph does: the right "
        "panel shows how often they are named at all.",
    )


def table(context: ReportContext) -> Table | None:
    """The answers of every model, and its accuracy where materials say nothing."""
    known = [(title, metric) for title, metric in TABLE if metric in context.inputs.keys]
    if SHARE not in context.inputs.keys:
        return None
    return context.score_table("table-cue-conflict", CAPTION, known, html_only=True)


def answer(context: ReportContext) -> Answer | None:
    """The share of shape over architectures, and what the V1 front-end changes of it."""
    mean = context.inputs.effect("mean", "learned", "", "canonical", SHARE)
    if mean is None:
        return None
    count = f"{mean.architectures} architectures" if mean.architectures > 1 else "one architecture"
    text = (
        f"In the materials of another class objects are named by their shape in {percent(mean.value)} % "
        f"[{percent(mean.low)}, {percent(mean.high)}] of the answers for either, with learned stems (mean of "
        f"{count}; humans on stylised photographs {100 * HUMANS:.1f} %)"
    )
    change = context.inputs.effect("frontend", "vone", "learned", "canonical", SHARE)
    if change is None:
        return Answer(f"{text}.")
    decided = change.low > 0 or change.high < 0
    verdict = "" if decided else " (undecided)"
    return Answer(f"{text}; the V1 front-end changes this by {points(change)}{verdict}.", "found")
