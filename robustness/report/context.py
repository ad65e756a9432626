"""What the writers of sections and cards share: the inputs, the models in order, where figures go."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robustness.report.document import Cell, Table, columns
from robustness.report.inputs import ReportInputs, Score
from robustness.report.model_table import Model, ModelTable
from robustness.report.palette import VERDICTS
from robustness.report.wording import plain_cell, score_cell
from robustness.scores import describe

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

SMALL_SIDE = 600
"""Pixels: up to this size a picture may stay as it is."""
LONGEST_SIDE = 1300
"""Pixels: larger pictures are made smaller for the PDF."""


@dataclass(frozen=True)
class ReportContext:
    """The context that a report is written in; ``folder`` becomes the root that Typst reads from."""

    inputs: ReportInputs
    models: ModelTable
    folder: Path

    def figure(self, name: str) -> Path:
        """Where the figure of that name is to be saved."""
        return self.folder / "figures" / f"{name}.svg"

    def picture(self, source: Path, name: str, longest: int = LONGEST_SIDE) -> str:
        """Take a picture file in under ``name`` (no suffix), at most ``longest`` pixels a side.

        Returns the place as documents name it. A picture that is there already is not made again.
        """
        folder = self.folder / "pictures"
        for suffix in (".svg", ".png", ".jpg"):
            if (folder / f"{name}{suffix}").is_file():
                return f"pictures/{name}{suffix}"
        folder.mkdir(parents=True, exist_ok=True)
        return f"pictures/{_take(source, folder / name, longest).name}"

    def pictures_of(self, model: Model) -> Path:
        """Where the pictures of a model lie (``pictures.take_probe_pictures``)."""
        return self.folder / "figures" / model.name

    def model_picture(self, model: Model, stem: str) -> Path | None:
        """The picture of that name of a model, if there is one."""
        path = self.pictures_of(model) / f"{stem}.png"
        return path if path.is_file() else None

    def score_of(self, model: Model, metric: str) -> Score | None:
        """The score of a model, or None."""
        return self.inputs.score(model.name, metric)

    def ranked(self, metric: str, models: Iterable[Model] | None = None) -> list[tuple[Score, Model]]:
        """The models (all, or the given ones) that have a score, with it, the largest first."""
        scored = [
            (self.score_of(model, metric), model) for model in (self.models if models is None else models)
        ]
        return sorted([(s, m) for s, m in scored if s is not None], key=lambda pair: -pair[0].value)

    def side_by_side(
        self, shown: Iterable[tuple[str, str]]
    ) -> tuple[list[str], dict[str, dict[str, list[Score | None]]]]:
        """Architectures, and of each metric of ``shown`` (with its title) title (%) → front-end → scores of
        the plain comparison, one an architecture: of several seeds the first."""
        grid = self.models.grid()
        architectures = list(dict.fromkeys(model.architecture for model in grid)) or self.models.architectures
        first = {(m.architecture, m.frontend): m for m in reversed(grid)}
        frontends = list(dict.fromkeys(model.frontend for model in grid)) or ["learned"]
        panels = {}
        for metric, title in shown:
            scores = {
                frontend: [
                    self.score_of(first[name, frontend], metric) if (name, frontend) in first else None
                    for name in architectures
                ]
                for frontend in frontends
            }
            if any(score is not None for own in scores.values() for score in own):
                panels[f"{title} (%)"] = scores
        return architectures, panels

    def _cell(self, model: Model, metric: str, cell: Callable[[Score | None], Cell] | None) -> Cell:
        score = self.score_of(model, metric)
        if score is None or cell is not None:
            return (cell or score_cell)(score)
        unit = describe(self.inputs.keys[metric]).unit
        if unit in ("fraction", "points"):
            return score_cell(score)
        return plain_cell(score, 1 if unit == "distractors" else 2)

    def study_table(
        self, name: str, caption: str, study: pd.DataFrame, by: str, title: str, *, budgets: bool = False
    ) -> Table | None:
        """One row per model of a study, one column per value of its column ``by`` under ``title`` (with {}).

        ``study``: columns model, epsilon, ``by``, robust_accuracy, low, high (fractions). ``budgets`` adds
        each model's ε. None without rows.
        """
        cells = {(row.model, getattr(row, by)): Score(row.robust_accuracy, row.low, row.high)
                 for row in study.itertuples()}  # fmt: skip
        epsilons = dict(zip(study["model"], 255 * study["epsilon"].astype(float), strict=True))
        values = list(dict.fromkeys(study[by]))
        rows = [
            [
                Cell(model.name, mono=True),
                *([Cell(f"{epsilons[model.name]:g}/255")] if budgets else []),
                *(score_cell(cells.get((model.name, value))) for value in values),
            ]
            for model in self.models
            if model.name in epsilons
        ]
        head = columns("model", numbers=["ε"] * budgets + [title.format(value) for value in values])
        return Table(name, caption, head, rows, small=True) if rows else None

    def score_table(
        self,
        name: str,
        caption: str,
        metrics: Sequence[tuple[str, str]],
        *,
        cell: Callable[[Score | None], Cell] | None = None,
        checks: bool = False,
        small: bool = True,
        html_only: bool = False,
    ) -> Table | None:
        """One row per model, one column per (title, metric), and the verdict on its attacks if ``checks``.

        ``cell`` shows a score; without it the unit decides. None without metrics.
        """
        if not metrics:
            return None
        rows = [
            [
                Cell(model.name, mono=True),
                *(self._cell(model, metric, cell) for _, metric in metrics),
                *([trust_cell(trust(self, model))] if checks else []),
            ]
            for model in self.models
        ]
        head = columns("model", numbers=[title for title, _ in metrics])
        return Table(name, caption, head + columns("checks") * checks, rows, small=small, html_only=html_only)


def trust(context: ReportContext, model: Model) -> str:
    """The worst verdict among a model's attack checks (``palette.VERDICTS``); "" if none was made."""
    checks = context.inputs.checks
    verdicts = set(checks.loc[checks["model"] == model.name, "verdict"])
    return next((verdict for verdict in reversed(VERDICTS) if verdict in verdicts), "")


def trust_cell(verdict: str) -> Cell:
    """The trust mark of a robust accuracy."""
    tone = {"ok": "good", "small": "warn", "weak": "bad", "masked": "bad"}.get(verdict, "muted")
    word = VERDICTS[verdict][1] if verdict else "not checked"
    return Cell(word, word, tone)


def _take(source: Path, stem: Path, longest: int) -> Path:
    """Copy a picture; pixels are made fewer if a side is longer than ``longest``.

    What is large or noisy becomes JPEG (quality 85, full colour resolution), a third of the size of a PNG.
    """
    from PIL import Image

    suffix = source.suffix.lower()
    if suffix == ".svg":
        return _write(stem.with_name(f"{stem.name}.svg"), source.read_bytes())
    with Image.open(source) as image:
        side = max(image.size)
        if side <= longest and side <= SMALL_SIDE:
            return _write(stem.with_name(f"{stem.name}{suffix}"), source.read_bytes())
        plain = image.convert("RGB")
    if side > longest:
        width, height = (max(1, round(length * longest / side)) for length in plain.size)
        plain = plain.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    content, suffix = _encoded(plain, "JPEG", quality=85, subsampling=0, optimize=True), ".jpg"
    if max(plain.size) <= SMALL_SIDE:
        png = _encoded(plain, "PNG")
        if len(png) < 1.5 * len(content):  # flat colours: exact and no larger
            content, suffix = png, ".png"
    return _write(stem.with_name(f"{stem.name}{suffix}"), content)


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _write(place: Path, content: bytes) -> Path:
    place.write_bytes(content)
    return place
