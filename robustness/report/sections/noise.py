"""Of question 4: what the noise does, by attacks with it live, frozen and off, and to the gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from robustness.report import conditions
from robustness.report.context import ReportContext
from robustness.report.document import Cell, Figure, Table, columns
from robustness.report.inputs import Score
from robustness.report.palette import NOISE_COLOURS
from robustness.report.plots.lines import line_panels
from robustness.report.sections import league
from robustness.report.wording import plain_cell

WORDS = (
    "live: new noise at each forward pass; frozen: one noise field for attack and evaluation; off: no noise; "
    "transferred: attacked with it off, judged with it live. Robustness that only live noise gives is due to "
    "the noise."
)


def figure(context: ReportContext, architectures: Sequence[str]) -> Figure | None:
    """Robust accuracy over ε with the noise live, frozen and off, of three models of these architectures."""
    study = context.inputs.noise
    wanted = [
        model
        for model in context.models
        if (study["model"] == model.name).any()
        and model.training == "canonical"
        and model.architecture in architectures
    ][:3]
    if not wanted:
        return None
    shown = study.sort_values("epsilon")
    shown = pd.concat([shown[shown["model"] == model.name] for model in wanted])
    curves = shown.rename(columns={"model": "panel", "noise": "name"}).assign(
        level=255 * shown["epsilon"].astype(float),
        value=100 * shown["robust_accuracy"],
        low=100 * shown["low"],
        high=100 * shown["high"],
        x_label="ε (L∞, 255ths)",
    )
    guess = conditions.chance(context.inputs)
    line_panels(context.figure("noise_modes"), curves, NOISE_COLOURS, "robust accuracy (%)", guess)
    return Figure.of(
        "noise_modes",
        f"Worst-case robust accuracy over ε by what the noise does; {WORDS} Bands: 95 % Wilson "
        "intervals over the images of this study. Dotted: chance.",
    )


def table(context: ReportContext) -> Table | None:
    """The same at the reference budget, for every model with noise."""
    budget = conditions.reference_budget(context.inputs)
    if budget is None:
        return None
    near = context.inputs.noise
    near = near[(255 * near["epsilon"].astype(float) - budget[0]).abs() < 0.01]
    caption = f"Worst-case robust accuracy (%) at L∞ {budget[0]:g}/255 by what the noise does; {WORDS}"
    return context.study_table("table-noise", caption, near, "noise", "noise {}")


GRADIENTS = (
    ("distance by the gradient (255ths)", "attack/gradient_linf/first_order_distance", 0.0, math.inf),
    ("with noise off", "attack/gradient_off_linf/first_order_distance", 0.0, math.inf),
    ("agreement", "attack/gradient_linf/agreement", -1.0, 1.0),
)
"""Title, score, and the values that the quantity can have, at which Student's intervals end."""


def gradients(context: ReportContext) -> Table | None:
    """The gradient by front-end, means over architectures; None where no model has noise."""
    names = dict.fromkeys(model.frontend for model in context.models.where(training="canonical"))
    rows = {
        name: [
            _bounded(league.mean_score(context, name, metric), *bounds) for _, metric, *bounds in GRADIENTS
        ]
        for name in names
    }
    if not any(off for _, off, _ in rows.values()):
        return None
    samples = context.inputs.params["attack"]["eot_samples"]
    caption = (
        "What the noise does to the gradient, by front-end: means over architectures with 95 % intervals. "
        "Distance: median over the clean images of margin / L1 norm of the margin's gradient, where the "
        "boundary of a linear model would lie (L∞), under the noise and with it off. Agreement: cosine of "
        f"two gradients of an image, each averaged over {samples} samples of the noise (1: noise leaves the "
        "direction as it is, 0: it hides it)."
    )
    cells = [[Cell(name), *map(plain_cell, scores)] for name, scores in rows.items() if scores[0]]
    return Table(
        "table-gradients", caption, columns("front-end", numbers=[title for title, *_ in GRADIENTS]), cells
    )


def _bounded(score: Score | None, lowest: float, highest: float) -> Score | None:
    return score and replace(score, low=max(score.low, lowest), high=min(score.high, highest))
