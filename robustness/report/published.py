"""Published values beside ours: the data file ``published.json`` and the tables made of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from robustness.report.conditions import budgets, learned_the_task
from robustness.report.context import ReportContext
from robustness.report.document import EMPTY, NOTHING, Block, Cell, Column, Table, Text, columns
from robustness.report.inputs import ReportInputs, Score
from robustness.report.wording import interval, interval_signed, percent, score_cell, signed
from robustness.scores.corruption import CATEGORIES

CAPTION = (
    "Published values beside ours, for orientation only: they were measured on other images and with "
    "networks of other sizes. Ours: the model named, or the range over all models that learned the task."
)


@cache
def _data() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "published.json").read_text("utf-8"))


def sources() -> dict[str, str]:
    """Key → citation of everything that the report cites, architectures apart."""
    return _data()["sources"]


def table(context: ReportContext, question: int) -> Table | None:
    """The published values that belong to a question, with ours beside them; None if there are none."""
    entries = [entry for entry in _data()["entries"] if entry["question"] == question]
    if not entries:
        return None
    rows = [
        [Cell(entry["what"]), Cell(entry["value"]), Cell(short(entry["source"])), Cell(_ours(context, entry))]
        for entry in entries
    ]
    columns = [Column(title, False) for title in ("published", "value", "source", "ours")]
    return Table(f"table-published-{question}", CAPTION, columns, rows, small=True, html_only=True)


def sets(context: ReportContext) -> Block | None:
    """Published accuracies on the relatives of ImageNet, with ours on the set of this run beside them.

    None where the run's images are none of these sets; a line that says so where no figure is known.
    """
    known, name = _data()["sets"], context.inputs.data.name
    if name not in known["images"]:
        return None
    models = [model for model in context.models if model.architecture in known["models"]]
    if not models:
        names = ", ".join(dict.fromkeys(model.architecture for model in context.models))
        text = f"No published accuracies on ImageNet's relatives are known here for {names}."
        return Text([text], "Published on the relatives of ImageNet", "missing")
    metrics = known["images"][name]
    titles = [*known["columns"], f"ours, {name}"]
    rows = []
    for model in models:
        values = known["models"][model.architecture]
        scores = (context.score_of(model, metric) for metric in metrics)
        ours = next((score for score in scores if score is not None), None)
        shown = [EMPTY if v is None else Cell(f"{v:.1f}", v) for v in values]
        rows.append([Cell(model.name, mono=True), *shown, score_cell(ours)])
    columns = [Column("model", False), *map(Column, titles)]
    absent = [model.name for model in context.models if model not in models]
    caption = known["caption"] + (f" None is known here for {', '.join(absent)}." if absent else "")
    return Table("table-published-sets", caption, columns, rows, small=True, upright=True)


SIDES = {"linf": 0, "l2": 1, "l1": 2}
"""Norm → the power of the image's side that an ε of the same size per value grows with."""


def protocol(context: ReportContext) -> Table | None:
    """The published accuracies of VOneNet beside ours under its attack; None where a run attacks in another
    way: other norms or ε (scaled to the size of the image), another suite, other draws for a gradient."""
    inputs, known = context.inputs, _data()["protocol"]
    white_box = _white_box(inputs)
    if not white_box:
        return None
    categories = [f"corruption/category/{name}/accuracy" for name in CATEGORIES]
    measured = [["clean/accuracy"], white_box, ["corruption/accuracy"], *([metric] for metric in categories)]
    unknown = [EMPTY] * len(categories)

    def ours(title: str, score: Callable[[str], Score | None], cell: Callable[[Score], str]) -> list[Cell]:
        means = [_mean([score(metric) for metric in metrics]) for metrics in measured]
        return [Cell(title, mono=True), *(EMPTY if m is None else Cell(cell(m), m.value) for m in means)]

    rows = [
        [Cell(f"{name} (published)"), *(Cell(f"{value:.1f}", value) for value in values), *unknown]
        for name, values in known["models"].items()
    ]
    rows += [
        ours(model.name, lambda metric, name=model.name: inputs.score(name, metric), interval)
        for model in context.models
        if model.training == "canonical"
    ]
    one, other = (known["models"][name] for name in known["difference"])
    changes = [(a - b) / 100 for a, b in zip(one, other, strict=True)]
    title = " − ".join(known["difference"])
    rows.append([Cell(f"{title} (published)"), *(Cell(signed(c), c) for c in changes), *unknown])
    pair = ("frontend", "vone", "learned", "canonical")
    rows.append(ours("vone − learned", lambda metric: inputs.effect(*pair, metric), interval_signed))
    head = columns("model", numbers=["clean", "white box", "corruptions", *CATEGORIES])
    return Table("table-published-protocol", known["caption"], head, rows, small=True)


def _white_box(inputs: ReportInputs) -> list[str]:
    """The robust accuracies that the published mean is taken of; empty where the attack is another."""
    known, attack = _data()["protocol"], inputs.params.get("attack", {})
    if attack.get("eot_samples") != known["eot_samples"]:
        return []
    scale, metrics = inputs.data.image_size / known["image_size"], []
    for norm, epsilons in known["epsilons"].items():
        of_norm: Mapping[str, Any] = attack["norms"].get(norm, {})
        if of_norm.get("suite") != [{"pgd": known["attack"]}]:
            return []
        for epsilon in epsilons:
            wanted = epsilon * scale ** SIDES[norm]
            measured = budgets(inputs, f"worst_{norm}")
            metrics += [metric for own, metric in measured if math.isclose(own, wanted, rel_tol=1e-3)]
    return metrics if len(metrics) == sum(map(len, known["epsilons"].values())) else []


def _mean(scores: Sequence[Score | None]) -> Score | None:
    """The mean of scores, its bounds the means of theirs; None where one is missing."""
    known = [(score.value, score.low, score.high) for score in scores if score is not None]
    if len(known) < len(scores):
        return None
    return Score(*(sum(each) / len(known) for each in zip(*known, strict=True)))


def short(key: str) -> str:
    """Authors and year of a source, as a table cites it."""
    citation = sources()[key]
    authors, _, rest = citation.partition(":")
    years = [
        part.strip(" ,()") for part in citation.replace("(", " ").split() if part.strip(" ,()").isdigit()
    ]
    year = next((part for part in years if len(part) == 4), "")
    return f"{authors if rest else citation.split(',')[0]} {year}".strip()


def _ours(context: ReportContext, entry: dict[str, Any]) -> str:
    """Our number beside a published one: of one model of the family, else the range over models."""
    metric = entry["metric"]
    if "family" not in entry:
        return _range(context, metric)
    wanted = {
        key: entry.get(key, usual) for key, usual in (("frontend", "learned"), ("training", "canonical"))
    }
    for model in context.models.where(family=entry["family"], **wanted):
        score = context.score_of(model, metric)
        if score is not None:
            return f"{model.name}: {interval(score)}"
    return NOTHING


def _range(context: ReportContext, metric: str) -> str:
    models = [model for model in context.models if learned_the_task(context.inputs, model)]
    scored = context.ranked(metric, models)
    if not scored:
        return NOTHING
    low, high = (percent(score.value) for score, _ in (scored[-1], scored[0]))
    return f"{low} to {high} ({len(scored)} models)"
