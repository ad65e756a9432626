"""The report as one HTML file that needs nothing else: its tables sortable, all scores searchable.

Own code: five kinds of blocks take less of it than templates of Jinja would, and no further dependency.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from html import escape

from robustness.report.context import ReportContext
from robustness.report.document import Answer, Block, Cell, Document, Figure, Gallery, Section, Table, Text
from robustness.report.shading import ink_on
from robustness.report.typesetting import TEMPLATES

SIGNS = {"found": "●", "undecided": "◐", "doubtful": "▲", "missing": "○"}
_TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg"}


def html_page(document: Document, context: ReportContext) -> str:
    """The page; pictures are inside it as data."""
    body = [
        f"<h1>{escape(document.title)}</h1>",
        f'<p class="quiet">{escape(document.subtitle)}</p>',
        *(f'<p class="notice">{escape(notice)}</p>' for notice in document.notices),
        _contents(document),
        _findings(document),
        '<h2 id="summary">Summary</h2>',
        *(_block(block, context) for block in document.summary),
        *(_section(section, context) for section in document.sections),
        _all_scores(),
    ]
    data = f'<script type="application/json" id="scores-data">{_scores(context)}</script>'
    return whole_page(document.title, [*body, data])


def whole_page(title: str, body: Sequence[str], *, wide: bool = False) -> str:
    """A page of these pieces with the style and the script inside; ``wide``: as wide as the window."""
    style, script = ((TEMPLATES / name).read_text("utf-8") for name in ("page.css", "page.js"))
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{style}</style></head>",
            '<body class="wide">' if wide else "<body>",
            *body,
            f"<script>{script}</script></body></html>",
            "",
        ]
    )


def _contents(document: Document) -> str:
    links = [
        ("findings", "Findings"),
        ("summary", "Summary"),
        *((section.name, _title(section)) for section in document.sections),
    ]
    links.append(("all", "All scores"))
    return "<nav><ul>" + "".join(f'<li><a href="#{n}">{escape(t)}</a></li>' for n, t in links) + "</ul></nav>"


def _findings(document: Document) -> str:
    most = document.details["findings_per_question"]
    parts = [
        f"<h3>{escape(_title(section))}</h3>{_answers(section.answers[:most])}"
        for section in document.sections
        if section.number
    ]
    return '<h2 id="findings">Findings</h2>' + "".join(parts)


def _answers(answers: Sequence[Answer]) -> str:
    items = "".join(
        f'<li title="{each.status}">{SIGNS[each.status]} {escape(each.text)}</li>' for each in answers
    )
    return f'<ul class="answers">{items}</ul>' if items else ""


def _title(section: Section) -> str:
    return f"{section.number}. {section.title}" if section.number else section.title


def _section(section: Section, context: ReportContext) -> str:
    listed = _answers(section.answers)
    blocks = "\n".join(_block(block, context) for block in section.blocks)
    return f'<h2 id="{section.name}">{escape(_title(section))}</h2>\n{listed}\n{blocks}'


def _block(block: Block, context: ReportContext) -> str:
    if isinstance(block, Table):
        return table_html(block)
    if isinstance(block, Figure):
        caption = f"<figcaption>{escape(block.caption)}</figcaption>"
        return f'<figure id="{block.name}">{_image(block.path, block.caption, context)}{caption}</figure>'
    if isinstance(block, Gallery):
        pictures = "".join(
            f"<div>{escape(p.title)}{_image(p.path, p.title or block.caption, context)}</div>"
            for p in block.pictures
        )
        return (
            f'<figure id="{block.name}"><div class="gallery" style="grid-template-columns: '
            f'repeat({block.columns}, 1fr)">{pictures}</div>'
            f"<figcaption>{escape(block.caption)}</figcaption></figure>"
        )
    return _text(block)


def _text(block: Text) -> str:
    heading = f"<strong>{escape(block.heading)}</strong> " if block.style == "method" else ""
    heading = heading or (f"<h3>{escape(block.heading)}</h3>" if block.heading else "")
    kind = {"method": ' class="method"', "missing": ' class="notice"'}.get(block.style, "")
    if block.style == "list":
        return heading + "<ul>" + "".join(f"<li>{escape(each)}</li>" for each in block.paragraphs) + "</ul>"
    if block.style == "method":
        return f"<p{kind}>{heading}{escape(' '.join(block.paragraphs))}</p>"
    return heading + "".join(f"<p{kind}>{escape(paragraph)}</p>" for paragraph in block.paragraphs)


def table_html(table: Table) -> str:
    """A sortable table."""
    head = "".join(
        f'<th aria-sort="none"{" class=number" if column.numeric else ""}>'
        f'<button type="button">{escape(column.title)}</button></th>'
        for column in table.columns
    )
    rows = "\n".join(
        "<tr>" + "".join(_cell(c, k.numeric) for c, k in zip(row, table.columns, strict=True)) + "</tr>"
        for row in table.rows
    )
    return (
        f'<div class="scroll"><table class="sortable" id="{table.name}">'
        f"<caption>{escape(table.caption)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cell(cell: Cell, numeric: bool) -> str:
    classes = [name for name in ("number" if numeric else "", cell.tone, "mono" if cell.mono else "") if name]
    if len(cell.text) > 60:
        classes.append("text")
    sort = cell.sort if cell.sort is not None else "" if numeric else cell.text
    sort = "Infinity" if sort == math.inf else sort
    kind = f' class="{" ".join(classes)}"' if classes else ""
    style = f' style="background:{cell.fill};color:{ink_on(cell.fill)}"' if cell.fill else ""
    text = f'<a href="{escape(cell.link)}">{escape(cell.text)}</a>' if cell.link else escape(cell.text)
    return f'<td{kind}{style} data-sort="{escape(str(sort))}">{text}</td>'


def _image(path: str, words: str, context: ReportContext) -> str:
    file = context.folder / path
    data = base64.b64encode(file.read_bytes()).decode()
    return f'<img loading="lazy" alt="{escape(words)}" src="data:{_TYPES[file.suffix]};base64,{data}">'


def _all_scores() -> str:
    titles = (("model", ""), ("metric", ""), *((t, ' class="number"') for t in ("value", "low", "high", "n")))
    head = "".join(f'<th aria-sort="none"{k}><button type="button">{t}</button></th>' for t, k in titles)
    return (
        '<h2 id="all">All scores</h2><p><label>Words that model and metric must hold, such as '
        '<em>vone azimuth</em>: <input id="scores-filter" type="search"></label> '
        '<span id="scores-found" class="quiet"></span></p><div class="scroll">'
        f'<table class="sortable" id="all-scores"><thead><tr>{head}</tr></thead><tbody></tbody></table></div>'
    )


def _scores(context: ReportContext) -> str:
    """All scores as compact JSON; ``</`` cannot occur in it."""
    table = context.inputs.scores
    metrics = {metric: index for index, metric in enumerate(context.inputs.keys)}
    models = [model.name for model in context.models]
    rows = []
    for model in models:
        part = table[table["model"] == model]
        rows.append(
            [
                [metrics[row.metric], _rounded(row.value), _rounded(row.low), _rounded(row.high), int(row.n)]
                for row in part.itertuples()
            ]
        )
    text = json.dumps({"models": models, "metrics": list(metrics), "rows": rows}, separators=(",", ":"))
    return text.replace("</", "<\\/")


def _rounded(value: float) -> float | None:
    return None if not math.isfinite(value) else float(f"{value:.5g}")
