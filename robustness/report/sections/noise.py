"""Of question 4: what the noise does, by attacks with it live, frozen and off."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from robustness.report import conditions
from robustness.report.context import ReportContext
from robustness.report.document import Figure, Table
from robustness.report.palette import NOISE_COLOURS
from robustness.report.plots.lines import line_panels

WORDS = (
    "live: new noise at each forward pass; frozen: one noise field for attack and evaluation; off: no noise. "
    "Robustness that only live noise gives is due to the noise."
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
        f"Worst-case robust accuracy over ε with the noise live, frozen and off; {WORDS} Bands: 95 % Wilson "
        "intervals over the images of this study. Dotted: chance.",
    )


def table(context: ReportContext) -> Table | None:
    """The same at the reference budget, for every model with noise."""
    budget = conditions.reference_budget(context.inputs)
    if budget is None:
        return None
    near = context.inputs.noise
    near = near[(255 * near["epsilon"].astype(float) - budget[0]).abs() < 0.01]
    caption = (
        f"Worst-case robust accuracy (%) at L∞ {budget[0]:g}/255 with the noise live, frozen and off; {WORDS}"
    )
    return context.study_table("table-noise", caption, near, "noise", "noise {}")
