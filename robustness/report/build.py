"""One call from finished tables to the report: ``write_report(inputs, folder)``."""

from __future__ import annotations

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from robustness.report import typesetting
from robustness.report.cards import take_pictures, write_cards
from robustness.report.context import ReportContext
from robustness.report.document import Document
from robustness.report.html_page import html_page
from robustness.report.inputs import ReportInputs
from robustness.report.leaderboard import leaderboard
from robustness.report.model_table import ModelTable
from robustness.report.pictures import take_probe_pictures
from robustness.report.sections import appendix, questions, summary
from robustness.report.wording import listed
from robustness.whole_files import whole, write_text

TITLE = "What holds up: viewpoint, clutter, attack"
FINDINGS_PER_QUESTION = 1


def write_report(inputs: ReportInputs, out_folder: Path) -> None:
    """Write ``robustness.pdf``, ``robustness.html``, ``index.html`` (the leaderboard), ``cards`` (of each
    model as PDF and Markdown, and its claims as JSON) and ``figures`` (plots of all models, and a folder of
    pictures for each) to a folder.

    What stood under these names is replaced, each only when all are made. Equal inputs give equal bytes.
    """
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(max_workers=2) as pool:
        root = Path(temporary)
        context = ReportContext(inputs, ModelTable.of(inputs), root)
        take_probe_pictures(inputs.pictures, root / "figures")
        pictures = take_pictures(context, pool)
        document = write_document(context)
        main = typesetting.lay_out(document.as_json(), "report.typ", root)
        pdf = typesetting.compile_pdf(main, root)
        for picture in pictures:
            picture.result()
        cards = write_cards(context, root)
        pages = {"robustness.html": html_page(document, context),
                 "index.html": leaderboard(context, document.subtitle)}  # fmt: skip
        (root / "cards").mkdir()
        for name, card in cards.items():
            (root / "cards" / name).write_bytes(card)
        (root / "figures").mkdir(exist_ok=True)
        for folder in ("figures", "cards"):
            with whole(out_folder / folder) as copy:
                shutil.copytree(root / folder, copy)
        with whole(out_folder / "robustness.pdf") as copy:
            copy.write_bytes(pdf)
        for name, page in pages.items():
            write_text(page, out_folder / name)


def write_document(context: ReportContext) -> Document:
    """The report as a tree of values; its figures and pictures are written to the context's folder."""
    sections = [question.write(context) for question in questions()]
    return Document(
        title=TITLE,
        subtitle=_subtitle(context),
        notices=_notices(context),
        summary=summary.write(context),
        sections=[*sections, *appendix.write(context)],
        details={"findings_per_question": FINDINGS_PER_QUESTION},
    )


def _subtitle(context: ReportContext) -> str:
    card = context.inputs.data
    return (
        f"{len(context.models)} models, {len(context.models.architectures)} architectures, {card.name} at "
        f"{card.image_size} pixels, {len(card.classes)} classes"
    )


def _notices(context: ReportContext) -> list[str]:
    """What is not in this report."""
    absent = [name for name in context.inputs.expected if name not in context.inputs.present]
    notices = []
    if absent:
        notices.append(f"Partial run: no scores for {listed(absent, 40)}.")
    partly = {name: tables for name, tables in context.inputs.missing.items() if name not in absent}
    for tables in sorted(set(map(tuple, partly.values()))):
        names = [name for name, lacking in partly.items() if tuple(lacking) == tables]
        notices.append(f"Partial run: {listed(names, 40)} without {listed(tables)}.")
    return notices
