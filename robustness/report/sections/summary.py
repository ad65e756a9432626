"""The page after the findings: one row per model, the five numbers that matter most."""

from __future__ import annotations

from robustness.report.conditions import chance, reference_budget
from robustness.report.context import ReportContext
from robustness.report.document import Block, Figure
from robustness.report.plots.dots import DotPanel, dot_rows, model_rows


def write(context: ReportContext) -> list[Block]:
    """The summary table, and the same numbers as a figure."""
    budget = reference_budget(context.inputs)
    robust = f"worst-case robust accuracy, L∞ {budget[0]:g}/255 (%)" if budget else "robust accuracy (%)"
    metrics = [
        ("clean accuracy (%)", "clean/accuracy"),
        ("pose drop (points)", "pose/drop"),
        ("clutter drop (points)", "clutter/drop"),
        (robust, budget[1] if budget else ""),
    ]
    caption = (
        "Summary. Drops are clean accuracy less mean accuracy over the levels of the shift, each "
        "factor of the shift counting once. Worst case: an image counts as robust if no attack of the "
        "suite changed the answer. Brackets: 95 % intervals over objects. Attack checks: the worst "
        "verdict on the evaluation itself; where it reads FAIL the robust accuracy is not "
        "reliable."
    )
    table = context.score_table("table-summary", caption, metrics, checks=True, small=False)
    return [table, _overview(context, budget)]


def _overview(context: ReportContext, budget: tuple[float, str] | None) -> Figure:
    panels = [("clean/accuracy", "clean accuracy\n(%)"), ("pose/drop", "pose drop\n(points)")]
    panels.append(("clutter/drop", "clutter drop\n(points)"))
    if budget is not None:
        panels.append((budget[1], f"robust accuracy,\nL∞ {budget[0]:g}/255 (%)"))
    guess = [(chance(context.inputs), "chance")]
    drawn = []
    for metric, label in panels:
        scores = [context.score_of(model, metric) for model in context.models]
        drawn.append(DotPanel(label, scores, [] if metric.endswith("drop") else guess))
    dot_rows(context.figure("overview"), model_rows(context.models), drawn)
    return Figure.of(
        "overview",
        "Overview: clean accuracy, what 3-D pose and clutter take from it, and worst-case robust "
        "accuracy, by model, oldest family first. Colour and marker: family; open marker: diverse or "
        "adversarial training. Bars: 95 % intervals over objects. Dotted: chance.",
    )
