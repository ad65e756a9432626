"""One call from finished tables to the report: ``write_report(inputs, folder)``."""

from __future__ import annotations

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from robustness.report import typesetting
from robustness.report.cards import take_pictures, write_cards
from robustness.report.document import Document
from robustness.report.drafting import Draft
from robustness.report.html_page import html_page
from robustness.report.inputs import ReportInputs
from robustness.report.pictures import draw_pictures
from robustness.report.roster import Roster
from robustness.report.sections import (
    appendix,
    association,
    attacking,
    clean,
    frontend,
    layers,
    shifting,
    summary,
    training,
)
from robustness.report.wording import listed
from robustness.whole_files import whole, write_text

QUESTIONS = (clean, shifting, attacking, frontend, layers, association, training)
TITLE = "What holds up: viewpoint, clutter, attack"
FINDINGS_PER_QUESTION = 4


def write_report(inputs: ReportInputs, out_folder: Path) -> None:
    """Write ``robustness.pdf``, ``robustness.html``, ``cards/<model>.pdf`` and ``figures`` to a folder: plots
    of all models, and a folder of pictures for each.

    What stood under these names is replaced, each only when all are made. Equal inputs give equal bytes.
    """
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(max_workers=2) as pool:
        root = Path(temporary)
        draft = Draft(inputs, Roster.of(inputs), root)
        draw_pictures(inputs.pictures, root / "figures", inputs.data.classes)
        pictures = take_pictures(draft, pool)
        document = write_document(draft)
        main = typesetting.lay_out(document.as_json(), "report.typ", root)
        pdf = typesetting.compile_pdf(main, root)
        for picture in pictures:
            picture.result()
        cards = write_cards(draft, root)
        page = html_page(document, draft)
        (root / "cards").mkdir()
        for name, card in cards.items():
            (root / "cards" / f"{name}.pdf").write_bytes(card)
        (root / "figures").mkdir(exist_ok=True)
        for folder in ("figures", "cards"):
            with whole(out_folder / folder) as copy:
                shutil.copytree(root / folder, copy)
        with whole(out_folder / "robustness.pdf") as copy:
            copy.write_bytes(pdf)
        write_text(page, out_folder / "robustness.html")


def write_document(draft: Draft) -> Document:
    """The report as a tree of values; its figures and pictures are written to the draft's folder."""
    sections = [module.write(draft) for module in QUESTIONS]
    return Document(
        title=TITLE,
        subtitle=_subtitle(draft),
        notices=_notices(draft),
        summary=summary.write(draft),
        sections=[*sections, *appendix.write(draft)],
        details={"findings_per_question": FINDINGS_PER_QUESTION},
    )


def _subtitle(draft: Draft) -> str:
    card = draft.inputs.data
    return (
        f"{len(draft.roster)} models, {len(draft.roster.architectures)} architectures, {card.name} at "
        f"{card.image_size} pixels, {len(card.classes)} classes"
    )


def _notices(draft: Draft) -> list[str]:
    """What is not in this report."""
    absent = [name for name in draft.inputs.expected if name not in draft.inputs.present]
    notices = []
    if absent:
        notices.append(f"Partial run: no scores for {listed(absent, 40)}.")
    partly = {name: tables for name, tables in draft.inputs.missing.items() if name not in absent}
    for tables in sorted(set(map(tuple, partly.values()))):
        names = [name for name, lacking in partly.items() if tuple(lacking) == tables]
        notices.append(f"Partial run: {listed(names, 40)} without {listed(tables)}.")
    return notices
