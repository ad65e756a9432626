"""The card of a model: its numbers, ranks, warnings, and that it is one page."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from report_layout import LaidOut, lay_out, numbers, texts
from report_tables import score_row

from robustness.report import cards, typesetting
from robustness.report.context import ReportContext
from robustness.report.inputs import ReportInputs
from robustness.report.model_table import ModelTable
from robustness.scores import COLUMNS


def context_of(report: LaidOut) -> ReportContext:
    return ReportContext(report.inputs, ModelTable.of(report.inputs), report.root)


def test_card_holds_the_scores_of_its_model(whole_report: LaidOut) -> None:
    context = context_of(whole_report)
    model = context.models[0]
    rows = {title: (value, rank) for title, value, rank in cards.card(context, model)["scores"]}
    score = context.score_of(model, "clean/accuracy")
    value, rank = rows["accuracy on clean images"]
    assert numbers(value.rstrip(" %")) == pytest.approx(
        [100 * score.value, 100 * score.low, 100 * score.high], abs=0.06
    )
    table = whole_report.inputs.scores
    clean = table[table["metric"] == "clean/accuracy"].set_index("model")["value"]
    place = int(clean.rank(ascending=False, method="min")[model.name])
    assert rank == f"{place} of {len(clean)}"


def test_rank_knows_which_way_is_better_and_what_lies_beyond_the_last_level(
    whole_inputs: ReportInputs,
) -> None:
    few = whole_inputs.present[:3]
    values = {"pose/drop": (0.3, 0.1, 0.2), "clutter/n50": (2.0, math.nan, 5.0)}
    rows = [
        score_row(model, metric, value, 1.0, value, 9)
        for metric, each in values.items()
        for model, value in zip(few, each, strict=True)
    ]
    rows += [score_row(model, "clean/accuracy", 0.9, 0.8, 1.0, 9) for model in few]
    scores = pd.DataFrame(rows, columns=list(COLUMNS))
    inputs = replace(whole_inputs, scores=scores)
    context = ReportContext(inputs, ModelTable.of(inputs), whole_inputs.pictures[few[0]])
    places = {
        metric: [cards.rank(context, context.models.by_name(model), metric)[0] for model in few]
        for metric in values
    }
    assert places == {"pose/drop": [3, 1, 2], "clutter/n50": [3, 1, 2]}


def test_card_warns(partial_report: LaidOut) -> None:
    context = context_of(partial_report)
    card = cards.card(context, context.models.by_name("lenet5_vone"))
    assert "Checks of the attacks say: attack too weak" in card["warning"]
    assert "probes" in card["warning"]
    assert cards.card(context, context.models.by_name("lenet5_learned"))["warning"] == ""


def test_typeset_card_is_one_page_with_the_name_scores_and_warning_of_its_model(
    partial_report: LaidOut,
) -> None:
    import typst

    context, root = context_of(partial_report), partial_report.root
    model = context.models.by_name("lenet5_vone")
    values = cards.card(context, model)
    (root / "card.json").write_text(json.dumps(values, ensure_ascii=False, allow_nan=False), "utf-8")
    main = root / "card.typ"
    assert typesetting.query(main, root, "<card-name>", "value") == [model.name]
    (table,) = typesetting.query(main, root, "<card-scores>")
    cells = [line for line in texts(table) if line.strip()]
    assert cells == ["score", "value", "rank", *(cell for row in values["scores"] for cell in row)]
    score = context.score_of(model, "pose/drop")
    shown = cells[cells.index("accuracy lost to 3-D pose") + 1]
    expected = [100 * number for number in (score.value, score.low, score.high)]
    assert numbers(shown.removesuffix(" points")) == pytest.approx(expected, abs=0.0501)
    (warning,) = typesetting.query(main, root, "<card-warning>")
    assert "Checks of the attacks say: attack too weak" in "".join(texts(warning))
    pages = typst.compile(str(main), root=str(root), format="svg", ignore_system_fonts=True)
    assert isinstance(pages, bytes), f"{len(pages)} pages"


def test_a_run_without_pictures_and_images_still_has_its_report(
    whole_inputs: ReportInputs, tmp_path: Path
) -> None:
    few = [name for name in whole_inputs.present if name.startswith("alexnet")]
    params = {**whole_inputs.params, "models": {name: whole_inputs.params["models"][name] for name in few}}
    data = replace(whole_inputs.data, images=None, sheets=())
    report = lay_out(replace(whole_inputs, params=params, data=data, pictures={}), tmp_path)
    assert report.query("<fig-filters>") == []
    assert report.models == few
    assert len(report.query("<question>")) == 7
