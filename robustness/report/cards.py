"""One card (a page) per model: what it is, its scores with their ranks, its curves and its pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pandas as pd

from robustness.report import adversarial_pictures, conditions
from robustness.report.claims import claims, digest
from robustness.report.context import ReportContext, trust
from robustness.report.document import NOTHING
from robustness.report.model_table import Model
from robustness.report.palette import OTHERS, VERDICTS
from robustness.report.sections.frontend import curve_sets
from robustness.report.sections.shifting import sphere_grid
from robustness.report.typesetting import TIMESTAMP
from robustness.report.wording import count_cell, interval, interval_plain, number
from robustness.scores import describe

METRICS = (
    "clean/accuracy",
    "pose/drop",
    "pose/relative_drop",
    "pose/worst_view_accuracy",
    "pose/pose_space_wrong",
    "pose/flip_rate",
    "clutter/drop",
    "clutter/relative_drop",
    "clutter/bg_gap",
    "clutter/background_reliance",
    "clutter/n50",
    "corruption/mce",
    "attack/worst_linf/area",
    "attack/worst_linf/median_distance",
    "attack/worst_l2/median_distance",
    "probe/filters/stem/gabor_r2_excess",
    "probe/filters/stem/dead_share",
    "probe/filters/stem/alias_energy",
    "probe/embedding/penultimate/knn_purity",
    "probe/inversion/middle/label_consistency",
)
"""Scores of a card; the robust accuracies of all L∞ budgets join them."""

SMALL = (("filters", "First-layer filters"), ("embedding", "t-SNE of the last layer"))
LARGE = (("ascent", "Gradient ascent"), ("inversion", "Inverted representations"))
CARD_PIXELS = 900
_FRACTIONS = ("fraction", "points")


def write_cards(context: ReportContext, root: Path) -> dict[str, bytes]:
    """File name → content of every model's card, as PDF and as Markdown, and its claims as JSON.

    ``root`` holds the templates (``typesetting.lay_out``).
    """
    import typst

    compiler = typst.Compiler(root=str(root), ignore_system_fonts=True)
    cards, image_set = {}, digest(context)
    for model in context.models:
        values = card(context, model)
        text = json.dumps(values, ensure_ascii=False, allow_nan=False, sort_keys=True)
        (root / "card.json").write_text(text, "utf-8")
        cards[f"{model.name}.pdf"] = compiler.compile(str(root / "card.typ"), timestamp=TIMESTAMP)
        cards[f"{model.name}.md"] = card_text(values, context.inputs.data.name).encode()
        cards[f"{model.name}.json"] = claims(context, model, image_set).encode()
    return cards


def card(context: ReportContext, model: Model) -> dict[str, Any]:
    """The values of one card."""
    verdict = trust(context, model)
    facts = [
        (
            "architecture",
            f"{model.architecture}, family {model.lineage}",
        ),
        ("front-end", model.frontend),
        ("training", model.training),
        ("width", number(model.width)),
        ("parameters", count_cell(model.parameters).text),
        ("multiply-adds of an image (10⁶)", number(model.multiply_adds / 1e6, 1)),
        ("epochs", count_cell(model.epochs).text),
        ("attack checks", VERDICTS[verdict][1] if verdict else "not made"),
        ("weights (SHA-256)", model.weights[:16] or NOTHING),
        ("paper", model.paper),
    ]
    return {
        "name": model.name,
        "facts": facts,
        "warning": _warning(context, model, verdict),
        "scores": [row for metric in _metrics(context) if (row := _score_row(context, model, metric))],
        "charts": _charts(context, model),
        "sphere": _sphere(context, model),
        "small": _small(context, model),
        "large": _pictures(context, model, LARGE),
        "models": len(context.models),
        "colour": model.look.colour,
    }


def card_text(values: dict[str, Any], data: str) -> str:
    """A card's facts and scores as Markdown with the YAML header that model hubs read; ``data``: the image
    set's name."""
    header = {"library_name": "robustness", "pipeline_tag": "image-classification", "tags": ["robustness"],
              "datasets": [data], "model_name": values["name"]}  # fmt: skip
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in header.items()), "---"]
    lines += [f"# {values['name']}", ""]
    lines += [f"**{values['warning']}**", ""] if values["warning"] else []
    lines += ["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in values["facts"]), ""]
    lines += ["| score | value and 95 % interval | rank |", "|---|---|---|"]
    lines += [f"| {title} | {value} | {place} |" for title, value, place in values["scores"]]
    return "\n".join([*lines, ""])


def rank(context: ReportContext, model: Model, metric: str) -> tuple[int, int] | None:
    """(place, number of models that have the score), 1 the best; None where a score does not rank."""
    better = describe(context.inputs.keys[metric]).better
    values = {m.name: s.value for s, m in context.ranked(metric)}
    if better == "neither" or model.name not in values:
        return None
    own = values[model.name]
    ahead = sum(value > own if better == "higher" else value < own for value in values.values())
    return ahead + 1, len(values)


def _metrics(context: ReportContext) -> list[str]:
    budgets = [metric for _, metric in conditions.budgets(context.inputs, "worst_linf")]
    place = METRICS.index("attack/worst_linf/area")
    return [*METRICS[:place], *budgets, *METRICS[place:]]


def _score_row(context: ReportContext, model: Model, metric: str) -> tuple[str, str, str] | None:
    score = context.score_of(model, metric)
    if score is None:
        return None
    label = describe(context.inputs.keys[metric])
    if label.unit in _FRACTIONS:
        text = interval(score) + (" %" if label.unit == "fraction" else " points")
    else:
        text = interval_plain(score)
    place = rank(context, model, metric)
    return label.title, text, f"{place[0]} of {place[1]}" if place else NOTHING


def _warning(context: ReportContext, model: Model, verdict: str) -> str:
    parts = []
    if verdict in ("weak", "masked"):
        parts.append(
            f"Checks of the attacks say: {VERDICTS[verdict][1]}. Robust accuracies are upper bounds."
        )
    if not conditions.learned_the_task(context.inputs, model):
        parts.append("The clean accuracy is not significantly above chance: drops are not meaningful.")
    lacking = context.inputs.missing.get(model.name, [])
    if lacking:
        parts.append(f"No rows in the tables {', '.join(lacking)}.")
    return " ".join(parts)


def _charts(context: ReportContext, model: Model) -> list[dict[str, Any]]:
    """Curves of the model over those of its twins of the same architecture."""
    twins = context.models.of_architecture(model.architecture)
    charts = []
    for title, label, curves in curve_sets(context, twins):
        lines = dict(list(curves.groupby("model", sort=False)))
        own = lines.pop(model.name, None)
        if own is None:
            continue
        others = [_line(context, name, line, OTHERS) for name, line in lines.items()]
        bounds = own[["level", "high"]].values.tolist() + own[["level", "low"]].values.tolist()[::-1]
        band = bounds if own[["low", "high"]].notna().all(axis=None) else []
        charts.append(
            {
                "title": {"attack": "worst-case attack"}.get(title, title),
                "x": label,
                "lines": [*others, _line(context, model.name, own, model.look.colour) | {"band": band}],
                "chance": 100 * conditions.chance(context.inputs),
            }
        )
    return charts


def _line(context: ReportContext, name: str, line: pd.DataFrame, colour: str) -> dict[str, Any]:
    dashed = context.models.by_name(name).frontend != "learned"
    points = line[["level", "value"]].values.tolist()
    return {"points": points, "colour": colour, "band": [], "dashed": dashed}


def _sphere(context: ReportContext, model: Model) -> dict[str, Any] | None:
    grid = sphere_grid(context, model)
    if grid is None:
        return None
    cells = [[None if value != value else 100 * value for value in row] for row in grid.values.tolist()]
    return {"azimuths": list(grid.columns), "elevations": list(grid.index), "cells": cells}


def _small(context: ReportContext, model: Model) -> list[dict[str, Any]]:
    """Pictures of one row, each with its share of the row's width."""
    found = []
    examples = adversarial_pictures.draw(context, model)
    if examples is not None:
        path = examples.path.relative_to(context.folder).as_posix()
        found.append({"path": path, "title": examples.title, "note": examples.note, "share": 1.7})
    return found + [{**picture, "note": None, "share": 1} for picture in _pictures(context, model, SMALL)]


def _pictures(
    context: ReportContext, model: Model, wanted: Sequence[tuple[str, str]]
) -> list[dict[str, Any]]:
    found = []
    for key, title in wanted:
        source = context.model_picture(model, key)
        if source is not None:
            path = context.picture(source, f"card_{model.name}_{key}", CARD_PIXELS)
            found.append({"path": path, "title": title})
    return found


def take_pictures(context: ReportContext, pool: Executor) -> list[Future[Any]]:
    """Begin to make the pictures of all cards small: Pillow works beside the drawing of figures."""
    return [pool.submit(_pictures, context, model, (*SMALL, *LARGE)) for model in context.models]
