"""A report as Typst sees it, and reading its tables back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustness.report import typesetting
from robustness.report.build import write_document
from robustness.report.context import ReportContext
from robustness.report.document import Document
from robustness.report.inputs import ReportInputs
from robustness.report.model_table import ModelTable
from robustness.report.pictures import take_probe_pictures


@dataclass(frozen=True)
class LaidOut:
    """A report laid out in ``root``, ready to be compiled or queried."""

    inputs: ReportInputs
    document: Document
    root: Path
    main: Path

    def query(self, selector: str, field: str | None = None) -> Any:
        """What Typst finds under a selector."""
        return typesetting.query(self.main, self.root, selector, field)

    def rows(self, name: str) -> list[list[str]]:
        """The body of the table with that label, row by row, as Typst sets it, or of one for HTML alone."""
        long = [b for s in self.document.sections for b in s.blocks if b.kind == "table" and b.name == name]
        if long and long[0].html_only:
            return [[cell.text for cell in row] for row in long[0].rows]
        (figure,) = self.query(f"<{name}>")
        table = _table(figure["body"])
        cells = ["".join(texts(part)) for part in table["children"] if part["func"] == "cell"]
        width = len(table["columns"])
        return [cells[start : start + width] for start in range(0, len(cells), width)]

    @property
    def models(self) -> list[str]:
        """The models in the report's order."""
        return [model.name for model in ModelTable.of(self.inputs)]


def lay_out(inputs: ReportInputs, root: Path) -> LaidOut:
    """The report of these inputs in ``root``."""
    take_probe_pictures(inputs.pictures, root / "figures")
    document = write_document(ReportContext(inputs, ModelTable.of(inputs), root))
    return LaidOut(inputs, document, root, typesetting.lay_out(document.as_json(), "report.typ", root))


def texts(content: Any) -> list[str]:
    """All text under a piece of Typst content, in order."""
    if isinstance(content, list):
        return [text for part in content for text in texts(part)]
    if not isinstance(content, dict):
        return []
    if content.get("func") == "space":
        return [" "]
    own = [content["text"]] if isinstance(content.get("text"), str) else []
    return own + [
        text for key in ("children", "child", "body") if key in content for text in texts(content[key])
    ]


def numbers(text: str) -> list[float]:
    """The numbers in a cell such as ``−3.1 [−5.0, +0.2]``."""
    plain = text.replace("−", "-").replace("+", "")
    return [float(part) for part in plain.replace("[", " ").replace("]", " ").replace(",", " ").split()]


def _table(content: dict[str, Any]) -> dict[str, Any]:
    while content["func"] != "table":
        content = (
            content["child"]
            if "child" in content
            else next(part for part in content["children"] if part["func"] in ("table", "styled"))
        )
    return content
