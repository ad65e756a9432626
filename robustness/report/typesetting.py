"""Typst: a document in, a PDF out; no network, no system fonts, equal inputs give equal bytes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent / "templates"
TIMESTAMP = 0
"""Creation time in the PDF (seconds since 1970): fixed, as equal tables must give equal files."""


def lay_out(document: Mapping[str, Any], template: str, root: Path) -> Path:
    """Put a template and its values into ``root``, the one folder that Typst reads; its path there."""
    root.mkdir(parents=True, exist_ok=True)
    for source in TEMPLATES.glob("*.typ"):
        shutil.copyfile(source, root / source.name)
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True)
    (root / "document.json").write_text(text, "utf-8")
    return root / template


def compile_pdf(main: Path, root: Path) -> bytes:
    """The PDF of a laid-out template."""
    import typst

    # Tags would take more room than all figures together; who needs them reads the HTML page.
    made = typst.compile(
        str(main), root=str(root), ignore_system_fonts=True, timestamp=TIMESTAMP, pdf_tags=False
    )
    assert isinstance(made, bytes)
    return made


def query(main: Path, root: Path, selector: str, field: str | None = None) -> Any:
    """What a laid-out document holds under a selector such as ``<question>``; for tests."""
    import typst

    return json.loads(typst.query(str(main), selector, field=field, root=str(root), ignore_system_fonts=True))
