"""The leaderboard: one table of all models, sortable and filterable, that leads to their cards and claims."""

from __future__ import annotations

from html import escape

from robustness.report.conditions import reference_budget
from robustness.report.context import ReportContext, trust, trust_cell
from robustness.report.document import NOTHING, Cell, Column, Table, columns
from robustness.report.html_page import table_html, whole_page
from robustness.report.wording import count_cell, plain_cell, score_cell
from robustness.scores.conditions import SHIFTS

TITLE = "Leaderboard"
CAPTION = (
    "Accuracy (%) with 95 % intervals over objects: clean, mean under each shift, and worst case under "
    "attack. Checks: whether the attack was strong enough for its number to be quoted. A model's name leads "
    "to its card, JSON to its claims. A click on a title sorts."
)


def leaderboard(context: ReportContext, subtitle: str) -> str:
    """The page; it needs nothing but the cards beside it, in ``cards/``."""
    budget = reference_budget(context.inputs)
    shown = [("clean", "clean/accuracy"), *((words, f"{shift}/accuracy") for shift, words in SHIFTS.items())]
    shown += [(f"L∞ {budget[0]:g}/255", budget[1])] if budget else []
    shown = [(title, metric) for title, metric in shown if metric in context.inputs.keys]
    rows = [
        [
            Cell(model.name, mono=True, link=f"cards/{model.name}.pdf"),
            Cell(model.architecture),
            Cell(str(model.year or NOTHING), model.year),
            Cell(model.frontend),
            Cell(model.training),
            count_cell(model.parameters),
            plain_cell(model.multiply_adds / 1e6, 1),
            *(score_cell(context.score_of(model, metric)) for _, metric in shown),
            trust_cell(trust(context, model)),
            Cell("JSON", link=f"cards/{model.name}.json"),
        ]
        for model in context.models
    ]
    head = [
        *columns("model", "architecture"), Column("year"), *columns("front-end", "training"),
        *columns(numbers=["parameters", "multiply-adds (10⁶)", *(title for title, _ in shown)]),
        *columns("checks", "claims"),
    ]  # fmt: skip
    table = Table("leaderboard", CAPTION, head, rows)
    body = [
        f"<h1>{TITLE}</h1>",
        f'<p class="quiet">{escape(subtitle)} · <a href="robustness.html">the report</a></p>',
        "<p><label>Words that a row must hold, such as <em>vone canonical</em>: "
        '<input type="search" data-filters="leaderboard"></label></p>',
        table_html(table),
    ]
    return whole_page(TITLE, body, wide=True)
