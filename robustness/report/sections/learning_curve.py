"""What would more data bring? One model trained on shares of the objects and of the views; question 7."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from robustness.report import conditions
from robustness.report.context import ReportContext
from robustness.report.document import Answer, Figure
from robustness.report.inputs import Difference
from robustness.report.palette import SHARE_COLOURS
from robustness.report.plots.lines import line_panels
from robustness.report.wording import percent, told

METRICS = {
    "clean/accuracy": ("clean", "clean accuracy"),
    "pose/accuracy": ("pose", "accuracy under 3-D pose"),
    "clutter/accuracy": ("clutter", "accuracy under clutter"),
}
"""Metric → (title of its panel, noun)."""


def answers(context: ReportContext) -> list[Answer]:
    """One sentence per axis: what the step from the second largest share to the largest brought."""
    return [_answer(context, *each) for each in _steps(context)]


def figure(context: ReportContext) -> Figure | None:
    """Accuracy over the share of the data, one panel per metric, one curve per axis, or None."""
    table = context.inputs.learning_curve
    if table.empty:
        return None
    titles = {metric: title for metric, (title, _) in METRICS.items()}
    shown = table[table["metric"].isin(list(METRICS))].sort_values("share", kind="stable")
    shown = shown.sort_values("metric", key=lambda names: names.map(list(METRICS).index), kind="stable")
    if shown.empty:
        return None
    curves = pd.DataFrame(
        {
            "panel": shown["metric"].map(titles),
            "name": shown["axis"].astype(str),
            **{key: 100 * shown[key].astype(float) for key in ("share", "value", "low", "high")},
            "x_label": "share of the data (%)",
        }
    ).rename(columns={"share": "level"})
    guess = conditions.chance(context.inputs)
    line_panels(context.figure("learning_curve"), curves, SHARE_COLOURS, "accuracy (%)", guess)
    return Figure.of(
        "learning_curve",
        f"What more data brings: accuracy of {_net(context)} after training on a share of the objects of "
        "every class, with all their views, or on a share of the views of every object. A smaller share lies "
        "within the larger one. Every point is a separate training run of about as many steps (a smaller "
        "share is seen more often), tested on the same images. Bands: 95 % intervals over test objects; "
        "they do not include the variation between training runs. Dotted: chance.",
    )


def _steps(context: ReportContext) -> Iterator[tuple[str, object, object, dict[str, Difference]]]:
    """(axis, training on the second largest share, on the largest, metric → paired difference)."""
    table = context.inputs.learning_curve
    for axis, rows in table.groupby("axis", sort=False):
        points_of = list(rows.drop_duplicates("share").sort_values("share").itertuples())
        if len(points_of) < 2:
            continue
        second, first = points_of[-2:]
        found = {metric: context.inputs.difference(first.model, second.model, metric) for metric in METRICS}
        known = {metric: difference for metric, difference in found.items() if difference is not None}
        if known:
            yield str(axis), second, first, known


def _answer(context: ReportContext, axis: str, second, first, found: dict[str, Difference]) -> Answer:
    number = (
        f"{second.objects} to {first.objects} objects"
        if axis == "objects"
        else f"{second.images} to {first.images} images of the same {first.objects} objects"
    )
    changes = [f"{METRICS[metric][1]} changes by {told(each)}" for metric, each in found.items()]
    text = (
        f"More {axis} for {_net(context)}, {percent(second.share, 0)} % to {percent(first.share, 0)} % of "
        f"them ({number}) in about as many steps: {', '.join(changes)}."
    )
    settled = any(difference.verdict != "undecided" for difference in found.values())
    return Answer(text, "found" if settled else "undecided")


def _net(context: ReportContext) -> str:
    """Architecture and front-end of the net, as params.yaml names them."""
    settings = (context.inputs.params.get("learning_curve") or {}).get("model", {})
    name = settings.get("architecture") or settings.get("family", "one model")
    others = [
        settings[key]
        for key, usual in (("frontend", "learned"), ("training", "canonical"))
        if settings.get(key, usual) != usual
    ]
    return f"{name} ({', '.join(others)})" if others else name
