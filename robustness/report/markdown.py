"""The little Markdown that a data card is written in, as blocks of the report.

Own code: a parser such as markdown-it gives HTML or tokens, which would have to become the same blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from robustness.report.document import Block, Cell, Column, Table, Text

_EMPHASIS = re.compile(
    r"\*\*(.+?)\*\*|(?<![\w*])[*_](\S(?:.*?\S)?)[*_](?![\w*])|`(.+?)`|!?\[(.+?)\]\([^)]*\)"
)


def blocks(text: str, name: str) -> list[Block]:
    """Headings, paragraphs, lists and pipe tables of a Markdown text; emphasis, code and links become plain.

    The title (a heading of the first level) is left out. Tables are labelled ``<name>-1``, ``<name>-2`` …
    """
    found: list[Block] = []
    heading = ""
    tables = 0
    for lines in _chunks(text.splitlines()):
        first = lines[0]
        if first.startswith("#"):
            level, _, title = first.partition(" ")
            heading = plain(title) if len(level) > 1 else ""
        elif first.startswith("|"):
            tables += 1
            found.append(_table(lines, f"{name}-{tables}", heading))
        elif _is_item(first):
            found.append(Text([plain(item) for item in _items(lines)], heading, "list"))
            heading = ""
        else:
            found.append(Text([plain(" ".join(lines))], heading))
            heading = ""
    return found


def plain(text: str) -> str:
    """Text without marks of emphasis, code and links."""
    return _EMPHASIS.sub(
        lambda match: next(group for group in match.groups() if group is not None), text.strip()
    )


def _chunks(lines: Sequence[str]) -> Iterator[list[str]]:
    """Runs of lines that belong together: a heading, a table, a list, a paragraph."""
    chunk: list[str] = []
    for line in [*lines, ""]:
        stripped = line.strip()
        starts = stripped.startswith("#") or (
            chunk and _kind(stripped) != _kind(chunk[0]) and not _goes_on(chunk, line)
        )
        if chunk and (not stripped or starts):
            yield chunk
            chunk = []
        if stripped:
            chunk.append(line.rstrip())
            if stripped.startswith("#"):
                yield chunk
                chunk = []


def _kind(line: str) -> str:
    stripped = line.strip()
    return "table" if stripped.startswith("|") else "item" if _is_item(stripped) else "text"


def _goes_on(chunk: Sequence[str], line: str) -> bool:
    """A list's item runs over indented lines."""
    return _is_item(chunk[0].strip()) and line.startswith(" ")


def _is_item(line: str) -> bool:
    return bool(re.match(r"([-*+]|\d+\.) ", line))


def _items(lines: Sequence[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        if _is_item(line):
            items.append(line.split(" ", 1)[1])
        else:
            items[-1] += " " + line.strip()
    return items


def _table(lines: Sequence[str], name: str, heading: str) -> Table:
    rows = [[plain(cell) for cell in line.strip().strip("|").split("|")] for line in lines]
    header, body = (
        rows[0],
        [row for row in rows[1:] if not all(re.fullmatch(r":?-+:?", cell) for cell in row)],
    )
    numeric = [all(re.fullmatch(r"[\d.,+ %–-]*", row[i]) for row in body) for i in range(len(header))]
    columns = [Column(title, is_number) for title, is_number in zip(header, numeric, strict=True)]
    cells = [[Cell(text, _number(text)) for text in row] for row in body]
    return Table(name, f"{heading}." if heading else "From the data card.", columns, cells, small=True)


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None
