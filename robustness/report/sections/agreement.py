"""Do different architectures fail on the same images? Error consistency, for question 7."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from robustness import scores
from robustness.report.context import ReportContext
from robustness.report.document import NOTHING, Answer, Cell, Table, columns
from robustness.report.shading import shaded
from robustness.report.wording import number, percent
from robustness.scores.conditions import SHIFTS

ORDER = ("pose", "plane", "clutter", "clean")
"""The shift that the agreement is measured under: the first of these that was measured."""


def write(context: ReportContext) -> tuple[Answer | None, Table | None]:
    """The sentence and the table of κ between every two learned models; None for fewer than three."""
    table = context.inputs.predictions
    shift = next((name for name in ORDER if (table["shift"] == name).any()), None)
    grid = [model for model in context.models.grid() if model.frontend == "learned"]
    if shift is None or len(grid) < 3:
        return None, None
    names = [model.name for model in grid]
    found = scores.error_consistencies(
        table[table["model"].isin(names)],
        shifts=[shift],
        seed=context.inputs.seed,
        resamples=context.inputs.resamples,
    )
    if found.empty or found["kappa"].isna().all():
        return None, None
    architectures = {model.name: model.architecture for model in grid}
    return answer(found, shift, architectures), _table(found, names, shift)


def answer(found: pd.DataFrame, shift: str, architectures: Mapping[str, str]) -> Answer:
    """κ between architectures beside κ of one net trained twice: only their ratio says what the data do."""
    known = found[found["kappa"].notna()]
    same = known["model_a"].map(architectures) == known["model_b"].map(architectures)
    where = "clean images" if shift == "clean" else f"images under {SHIFTS[shift]}"
    other = known.loc[~same, "kappa"]
    text = (
        f"On {where} the errors of different architectures agree with κ = {number(other.mean())} (mean of "
        f"{len(other)} pairs, {number(other.min())} to {number(other.max())})"
    )
    if not same.any():
        text += "; that of one net trained from two seeds, without which this says little, was not measured."
        return Answer(text, "undecided")
    own = known.loc[same, "kappa"]
    text += f", those of one net trained from two seeds with κ = {number(own.mean())} ({len(own)} pairs): "
    if other.mean() >= own.mean():
        return Answer(text + "which objects are hard does not depend on the architecture.")
    share = percent(other.mean() / own.mean(), 0)
    return Answer(f"{text}{share} % of the agreement that a net has with itself is shared by all.")


def _table(found, names: list[str], shift: str) -> Table:
    kappa = {}
    for row in found.itertuples():
        kappa[row.model_a, row.model_b] = kappa[row.model_b, row.model_a] = row
    rows = []
    for first in names:
        cells = [Cell("" if first == second else _text(kappa.get((first, second)))) for second in names]
        shares = [_share(kappa.get((first, second))) for second in names]
        rows.append([Cell(first, mono=True), *map(shaded, cells, shares)])
    caption = (
        f"Error consistency κ between learned models on the images of {shift}: 0, errors overlap as by "
        "chance; 1, the same errors (Geirhos, Meding & Wichmann 2020). *: the 95 % interval "
        "over objects lies off 0."
    )
    head = columns("model", numbers=names)
    return Table("table-agreement", caption, head, rows, small=True, upright=True, html_only=True)


def _text(row) -> str:
    if row is None or row.kappa != row.kappa:
        return NOTHING
    return number(row.kappa) + ("*" if row.low > 0 or row.high < 0 else "")


def _share(row) -> float:
    return float("nan") if row is None else row.kappa
