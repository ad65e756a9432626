"""The report as a tree of plain values, made once and set twice: as PDF (Typst) and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

NOTHING = "–"
"""What stands where a number does not exist."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table. ``sort``: the value by which HTML sorts it; ``tone``: good, warn, bad or muted.

    ``fill`` is a colour #rrggbb behind the text; ``link`` is where its text leads in HTML.
    """

    text: str
    sort: float | str | None = None
    tone: str = ""
    mono: bool = False
    fill: str = ""
    link: str = ""


EMPTY = Cell(NOTHING, None, "muted")
"""The cell of a number that does not exist."""


@dataclass(frozen=True)
class Column:
    """A column: its title (with unit) and whether it holds numbers (set to the right)."""

    title: str
    numeric: bool = True


def columns(*texts: str, numbers: Sequence[str] = ()) -> list[Column]:
    """Columns of text, then columns of numbers, by their titles."""
    return [*(Column(title, False) for title in texts), *map(Column, numbers)]


@dataclass(frozen=True)
class Table:
    """A table with a caption that explains it alone; ``name`` is its label, letters and hyphens.

    ``upright`` turns the titles of number columns upright, for many narrow columns. ``html_only`` (also of a
    figure): not for the PDF, where one reads; it stands in the HTML page, where one looks up.
    """

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    small: bool = False
    upright: bool = False
    html_only: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Figure:
    """A picture file (path relative to the report's folder) with a caption that explains it alone."""

    name: str
    path: str
    caption: str
    html_only: bool = False
    kind: str = "figure"

    @classmethod
    def of(cls, stem: str, caption: str, *, html_only: bool = False) -> Figure:
        """The figure that was drawn to ``ReportContext.figure(stem)``."""
        return cls(f"fig-{stem.replace('_', '-')}", f"figures/{stem}.svg", caption, html_only)


@dataclass(frozen=True)
class Picture:
    """One of several pictures side by side, with a short title; ``width`` is its share of its place."""

    path: str
    title: str
    width: float = 1.0


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side under one caption."""

    name: str
    caption: str
    columns: int
    pictures: Sequence[Picture]
    kind: str = "gallery"


@dataclass(frozen=True)
class Text:
    """Paragraphs under an optional small heading; ``style`` is method, plain, list or missing."""

    paragraphs: Sequence[str]
    heading: str = ""
    style: str = "plain"
    kind: str = "text"


Block = Table | Figure | Gallery | Text


@dataclass(frozen=True)
class Answer:
    """One sentence of the findings.

    ``status``: found, undecided (the interval includes 0), doubtful (read with caution), missing (no data).
    """

    text: str
    status: str = "found"


@dataclass(frozen=True)
class Section:
    """A question (``number`` 1 to 7) or an appendix (0): answers and blocks, of which None is left out."""

    name: str
    title: str
    number: int
    answers: Sequence[Answer]
    blocks: Sequence[Block | None]

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", [block for block in self.blocks if block is not None])


@dataclass(frozen=True)
class Document:
    """The whole report."""

    title: str
    subtitle: str
    notices: Sequence[str]
    summary: Sequence[Block]
    sections: Sequence[Section]
    details: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values for Typst, which sorts nothing, without what the HTML page alone shows."""

        def read(section: Section) -> Section:
            return replace(section, blocks=[b for b in section.blocks if not getattr(b, "html_only", False)])

        shown = replace(self, sections=[read(section) for section in self.sections])
        return asdict(shown, dict_factory=lambda pairs: {key: value for key, value in pairs if key != "sort"})
