"""Do different architectures fail on the same images? Error consistency, for question 7."""

from __future__ import annotations

from robustness import scores
from robustness.report.context import ReportContext
from robustness.report.document import NOTHING, Answer, Cell, Table, columns
from robustness.report.shading import shaded
from robustness.report.wording import number

SHIFTS = ("pose", "plane", "clutter", "clean")
"""The shift that the agreement is measured under: the first of these that was measured."""


def write(context: ReportContext) -> tuple[Answer | None, Table | None]:
    """The sentence and the table of κ between every two learned models; None for fewer than three."""
    table = context.inputs.predictions
    shift = next((name for name in SHIFTS if (table["shift"] == name).any()), None)
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
    return _answer(found, shift), _table(found, names, shift)


def _answer(found, shift: str) -> Answer:
    above = int((found["low"] > 0).sum())
    known = found[found["kappa"].notna()]
    low, high = known["kappa"].min(), known["kappa"].max()
    where = "clean images" if shift == "clean" else f"images under {shift}"
    text = (
        f"On {where} {above} of {len(known)} pairs of architectures err together more often than chance "
        f"(κ from {number(low)} to {number(high)}): "
    )
    if above > len(known) / 2:
        return Answer(text + "most of them find the same images hard, which points to the data.")
    return Answer(text + "most of them fail on different images.", "found" if above == 0 else "undecided")


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
    return Table("table-agreement", caption, head, rows, small=True, upright=True)


def _text(row) -> str:
    if row is None or row.kappa != row.kappa:
        return NOTHING
    return number(row.kappa) + ("*" if row.low > 0 or row.high < 0 else "")


def _share(row) -> float:
    return float("nan") if row is None else row.kappa
