"""The chart that carries the whole, the limits, and one row per model with the numbers that matter most."""

from __future__ import annotations

from robustness.report.conditions import reference_budget
from robustness.report.context import ReportContext
from robustness.report.document import Block, Figure, Table, Text
from robustness.report.plots.dots import pair_rows

SHOWN = (
    ("clean/accuracy", "clean"),
    ("pose/accuracy", "3-D pose"),
    ("plane/accuracy", "in the plane"),
    ("clutter/accuracy", "clutter"),
)


GLOSSARY = Text(
    [
        "Learned, vone: the network's own first layers; in their place a fixed bank of Gabor filters of V1, "
        "with simple and complex cells and noise (VOneNet).",
        "Clean: the image itself, of a rendered object in front view before a plain ground; a condition: one "
        "factor at one level.",
        "3-D pose, in the plane: the camera around the object; the object rolled, farther off or aside.",
        "Clutter: what stands around or before the object, and its background.",
        "Drop: clean accuracy less accuracy under a shift, in percentage points.",
        "Robust accuracy at ε: the share of images still right at the strongest change found with no pixel "
        "changed by more than ε (L∞); with noise, the expected share.",
        "Suite, rung: attacks of rising strength; each rung runs on the images that survived the one before.",
        "Checks: what shows that an attack was strong enough for its number to be quoted.",
        "Twins: two models that differ in one thing; paired: compared on the same images.",
        "Undecided: the 95 % interval includes no effect.",
    ],
    "Ten terms",
    "list",
)


def write(context: ReportContext) -> list[Block]:
    """The chart and the limits, which stand on page 1, then the table and the terms."""
    budget = reference_budget(context.inputs)
    return [_overview(context, budget), _limits(context), _table(context, budget), GLOSSARY]


def _overview(context: ReportContext, budget: tuple[float, str] | None) -> Figure:
    shown = [*SHOWN, *([(budget[1], f"L∞ {budget[0]:g}/255")] if budget else [])]
    pair_rows(context.figure("overview"), *context.side_by_side(shown))
    return Figure.of(
        "overview",
        "Accuracy on clean images, under each shift and under attack, by architecture, learned stem and V1 "
        "front-end (vone) side by side. Bars: 95 % intervals over objects.",
    )


def _limits(context: ReportContext) -> Text:
    """Three sentences on what the numbers cannot say."""
    seeds = context.inputs.models["seed"].nunique() if "seed" in context.inputs.models else 1
    attacked = context.inputs.whole_attacks["sample"].nunique()
    one = "One seed per model: two trainings of one net differ by some points, so single models are compared "
    one += "with caution and effects as means over architectures."
    several = f"{seeds} seeds per net: effects are means over them and over architectures."
    trained = [model for model in context.models if model.epochs > 0]
    short = (
        f"Networks were trained here for at most {max(m.epochs for m in trained):.0f} epochs: differences "
        "between conditions and between twins mean more than absolute accuracies."
        if trained
        else ""
    )
    bounds = f"Robust accuracies are upper bounds, on {attacked} images: a stronger attack may find more."
    return Text(
        [sentence for sentence in (short, several if seeds > 1 else one, bounds) if sentence],
        "Limits",
        "list",
    )


def _table(context: ReportContext, budget: tuple[float, str] | None) -> Table | None:
    robust = f"robust, L∞ {budget[0]:g}/255 (%)" if budget else "robust accuracy (%)"
    metrics = [
        ("clean accuracy (%)", "clean/accuracy"),
        ("pose drop (points)", "pose/drop"),
        ("in-plane drop (points)", "plane/drop"),
        ("clutter drop (points)", "clutter/drop"),
        (robust, budget[1] if budget else ""),
    ]
    caption = (
        "Summary. Drops are clean accuracy less mean accuracy over the levels of the shift, each factor of "
        "the shift counting once. Robust: no attack of the suite changed the answer; of models with noise "
        "the expected share of right answers. Brackets: 95 % intervals over objects. Attack checks: the "
        "worst verdict on the evaluation itself."
    )
    return context.score_table("table-summary", caption, metrics, checks=True)
