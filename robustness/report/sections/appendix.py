"""What stands after the questions: the data card, the environment, params."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robustness.report import markdown
from robustness.report.contact_sheets import contact_sheets
from robustness.report.context import ReportContext
from robustness.report.document import NOTHING, Block, Cell, Column, Gallery, Picture, Section, Table, Text
from robustness.report.inputs import DataCard
from robustness.report.published import sources
from robustness.report.wording import count_cell

NAMED_CLASSES = 40


def write(context: ReportContext) -> list[Section]:
    """Data card, environment, references."""
    return [_data(context), _environment(context), _references(context)]


def _data(context: ReportContext) -> Section:
    card = context.inputs.data
    facts = [("image set", card.name), ("classes", _classes(card.classes))]
    facts += [("image size", f"{card.image_size} × {card.image_size} pixels, RGB"), *card.facts]
    blocks: list[Block] = [
        Table(
            "table-data",
            "The image set in facts.",
            [Column("what", False), Column("value", False)],
            [[Cell(what), Cell(value)] for what, value in facts],
        ),
        Table(
            "table-splits",
            "Objects and images by split and role. No object stands in two splits.",
            [Column("split", False), Column("role", False), Column("objects"), Column("images")],
            [
                [Cell(str(row.split)), Cell(str(row.role)), count_cell(row.objects), count_cell(row.images)]
                for row in card.counts.itertuples()
            ],
        ),
    ]
    written = markdown.blocks(card.description, "table-card")
    everything = [*blocks, *_sheets(context), *written, _credits(card)]
    return Section("data", "Data card", 0, [], everything)


def _classes(names: Sequence[str]) -> str:
    """The classes by name; of many their number and the first few."""
    if len(names) <= NAMED_CLASSES:
        return ", ".join(names)
    return f"{len(names)}: {', '.join(names[:8])} … {names[-1]}"


def _credits(card: DataCard) -> Text | None:
    """Creators and licences of the models that the pictures show, from the set's own attribution."""
    source = card.images.folder / "ATTRIBUTIONS.md" if card.images is not None else None
    if source is None or not source.is_file():
        return None
    paragraphs: list[str] = []
    creators: list[str] = []
    for line in [*source.read_text("utf-8").splitlines(), "## "]:
        if line.startswith("## "):
            if creators:
                paragraphs[-1] = f"{paragraphs[-1].rstrip('.')}. Creators: {', '.join(creators)}."
            paragraphs.append(line.removeprefix("## "))
            creators = []
        elif line.startswith("- "):
            creators.append(line[2:].partition(": ")[0])
        elif line and not line.startswith("#"):
            paragraphs.append(line)
    return Text([text for text in paragraphs if text], "Whose models the pictures show", "list")


def _sheets(context: ReportContext) -> list[Block]:
    """Contact sheets one by one, the strips of the factors together."""
    card = context.inputs.data
    sheets = list(card.sheets)
    if card.images is not None:
        made = context.inputs.params.get("evaluation", {}).get("conditions", {})
        sheets += contact_sheets(card.images, made, context.folder / "sheets", seed=context.inputs.seed)
    blocks: list[Block] = []
    strips = []
    for index, sheet in enumerate(sheets, 1):
        link = context.picture(sheet.path, f"sheet_{index}")
        if sheet.strip:
            strips.append(Picture(link, sheet.caption, sheet.width))
        else:
            blocks.append(Gallery(f"fig-sheet-{index}", sheet.caption, 1, [Picture(link, "", sheet.width)]))
    if strips:
        caption = (
            "The factors, level by level, on two test objects. The clean level is the clean image; "
            "everything but the factor stays as it is."
        )
        blocks.append(Gallery("fig-strips", caption, 2, strips))
    return blocks


def _environment(context: ReportContext) -> Section:
    rows = [[Cell(key), Cell(str(value), mono=True)] for key, value in context.inputs.environment.items()]
    rows.append([Cell("seed"), Cell(str(context.inputs.seed), mono=True)])
    rows.append([Cell("bootstrap resamples"), Cell(str(context.inputs.resamples), mono=True)])
    settings = [
        [Cell(key, mono=True), Cell(value, mono=True)]
        for key, value in flatten({k: v for k, v in context.inputs.params.items() if k != "models"})
    ]
    columns = [Column("what", False), Column("value", False)]
    blocks: list[Block] = [
        Table("table-environment", "Machine, versions, seeds.", columns, rows, small=True),
        Table(
            "table-params",
            "The settings of the run (params.yaml, its models apart: they are in the table of question 1).",
            [Column("key", False), Column("value", False)],
            settings,
            small=True,
            html_only=True,
        ),
    ]
    return Section("environment", "Environment, seeds and settings", 0, [], blocks)


def _references(context: ReportContext) -> Section:
    """What the report cites: the papers of its architectures, then everything else."""
    papers = dict.fromkeys(model.paper for model in context.models)
    text = [*papers, *sorted(sources().values())]
    return Section("references", "References", 0, [], [Text(text, style="list")])


def flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted key, value)."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            items = value if isinstance(value, (list, tuple)) else [NOTHING if value is None else value]
            yield f"{prefix}{key}", ", ".join(map(str, items))
