"""What stands in the PDF, asked of Typst, against the tables it was made from."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_layout import LaidOut, numbers

from robustness.attacks.variants import WHOLE as ATTACKED_WHOLE
from robustness.report import adversarial_pictures, typesetting
from robustness.report.claims import claims
from robustness.report.context import ReportContext
from robustness.report.document import NOTHING, Cell, Table, Text, columns
from robustness.report.model_table import ModelTable
from robustness.report.sections import attacking, summary
from robustness.scores.attacks import WHOLE

SUMMARY = (
    "clean/accuracy",
    "pose/drop",
    "plane/drop",
    "clutter/drop",
    "attack/worst_linf/eps_2/robust_accuracy",
)
COMPARED = (
    "clean/accuracy",
    "pose/accuracy",
    "plane/accuracy",
    "clutter/accuracy",
    "pose/drop",
    "plane/drop",
    "clutter/drop",
    "attack/worst_linf/eps_2/robust_accuracy",
)
COLUMNS = [
    *(("table-summary", column, metric) for column, metric in enumerate(SUMMARY, 1)),
    ("table-clean", 8, "clean/accuracy"),
    ("table-pose", 1, "pose/drop"),
    ("table-pose", 3, "pose/worst_view_accuracy"),
    ("table-clutter", 3, "clutter/bg_gap"),
    ("table-attack", 6, "attack/worst_linf/eps_8/robust_accuracy"),
]


@pytest.mark.parametrize(("table", "column", "metric"), COLUMNS)
def test_tables_hold_the_scores(whole_report: LaidOut, table: str, column: int, metric: str) -> None:
    scores = whole_report.inputs.scores.set_index(["model", "metric"])
    rows = whole_report.rows(table)
    assert [row[0] for row in rows] == whole_report.models
    for row in rows:
        score = scores.loc[(row[0], metric)]
        expected = [100 * score[key] for key in ("value", "low", "high")]
        assert numbers(row[column]) == pytest.approx(expected, abs=0.0501)


@pytest.mark.parametrize(("table", "axis"), [("table-frontend", "frontend"), ("table-training", "training")])
def test_difference_tables_hold_the_comparisons(whole_report: LaidOut, table: str, axis: str) -> None:
    comparisons = whole_report.inputs.comparisons
    known = comparisons[comparisons["axis"] == axis].set_index(["model_a", "model_b", "metric"])
    rows = whole_report.rows(table)
    assert len(rows) == len(known.index.droplevel("metric").unique())
    for row in rows:
        a, b = row[0].split(" − ")
        for column, metric in enumerate(COMPARED, 1):
            found = known.loc[(a, b, metric)]
            expected = [100 * found[key] for key in ("difference", "low", "high")]
            assert numbers(row[column].rstrip("*")) == pytest.approx(expected, abs=0.0501)
            assert row[column].endswith("*") == (found["p_holm"] <= 0.05)


def test_other_variants_are_no_whole_images(whole_report: LaidOut) -> None:
    """Attacks on the object alone, on these images and on others, at the same budgets."""
    inputs, models = whole_report.inputs, ModelTable.of(whole_report.inputs)
    more = [inputs.attacks.assign(variant="object", sample=inputs.attacks["sample"] + by, robust=False)
            for by in (0, 1000)]  # fmt: skip
    both = replace(inputs, attacks=pd.concat([inputs.attacks, *more], ignore_index=True))
    contexts = [ReportContext(each, models, whole_report.root) for each in (inputs, both)]
    drawn = [adversarial_pictures.draw(context, next(iter(models))) for context in contexts]
    assert drawn[0] is not None
    assert WHOLE == ATTACKED_WHOLE
    assert drawn[0] == drawn[1]
    words = [[block for block in summary.write(each) if isinstance(block, Text)] for each in contexts]
    assert words[0] == words[1]
    told = [claims(context, next(iter(models)), "") for context in contexts]
    assert told[0] == told[1]
    rungs = [
        next(b for b in attacking.write(each).blocks if getattr(b, "name", "") == "table-rungs")
        for each in contexts
    ]
    assert rungs[0] == rungs[1]


def test_the_gradient_stands_by_front_end(whole_report: LaidOut) -> None:
    scores = whole_report.inputs.scores.set_index(["model", "metric"])["value"]
    rows = {row[0]: row[1:] for row in whole_report.rows("table-gradients")}
    own = {m.name: m.frontend for m in ModelTable.of(whole_report.inputs) if m.training == "canonical"}
    assert set(rows) == set(own.values())
    assert rows["learned"][1] == NOTHING  # it has no noise that could be off
    for frontend, cells in rows.items():
        names = [name for name, each in own.items() if each == frontend]
        mean = np.mean([scores[name, "attack/gradient_linf/first_order_distance"] for name in names])
        assert numbers(cells[0])[0] == pytest.approx(mean, abs=0.00501)
        agreement = 0.4 if frontend == "vone" else 1
        assert numbers(cells[2])[0] == pytest.approx(agreement)


def test_the_cost_of_an_intervention_counts_the_passes_of_its_attack(whole_report: LaidOut) -> None:
    rows = {row[0]: row[1:] for row in whole_report.rows("table-cost")}
    assert set(rows) == {
        f"resnet18: {name}" for name in ("diverse training", "adversarial training", "V1 front-end")
    }
    difference = whole_report.inputs.difference("resnet18_diverse", "resnet18_learned", "clean/accuracy")
    expected = [100 * value for value in (difference.value, difference.low, difference.high)]
    assert numbers(rows["resnet18: diverse training"][0].rstrip("*")) == pytest.approx(expected, abs=0.0501)
    # 8 epochs of 4000 images; an attack of one step doubles the passes.
    assert rows["resnet18: diverse training"][3:] == ["0", "32\u202f000", "1.0"]
    assert rows["resnet18: adversarial training"][3:] == ["1", "64\u202f000", "2.0"]


def test_a_number_that_is_no_fraction_is_shown_in_its_own_unit(whole_report: LaidOut) -> None:
    scores = whole_report.inputs.scores.set_index(["model", "metric"])
    shown = {row[0]: row[5] for row in whole_report.rows("table-clutter")}
    for model, text in shown.items():
        if (model, "clutter/n50") in scores.index:
            score = scores.loc[(model, "clutter/n50")]
            first = score["value"] if score["value"] == score["value"] else score["low"]
            assert numbers(text.removeprefix("> "))[0] == pytest.approx(first, abs=0.0501)


def test_learning_curve_and_interventions_are_drawn(whole_report: LaidOut, partial_report: LaidOut) -> None:
    for stem in ("learning_curve", "interventions"):
        assert (whole_report.root / "figures" / f"{stem}.svg").is_file()
        assert whole_report.query(f"<fig-{stem.replace('_', '-')}>")
    assert not (partial_report.root / "figures" / "interventions.svg").exists()


def test_all_seven_questions_are_answered(whole_report: LaidOut) -> None:
    found = whole_report.query("<question>", "value")
    assert [each["question"] for each in found] == [1, 2, 3, 4, 5, 6, 7]
    for each in found:
        assert each["answers"], f"question {each['question']} has no answer"
        assert set(each["statuses"]) <= {"found", "undecided", "doubtful"}


def test_findings_fit_on_the_first_page(whole_report: LaidOut) -> None:
    assert whole_report.query("<findings-end>", "value") == [1]


def test_verdicts_stand_beside_the_numbers(partial_report: LaidOut) -> None:
    marks = {row[0]: row[-1] for row in partial_report.rows("table-summary")}
    assert marks.pop("lenet5_vone") == "attack too weak"
    assert set(marks.values()) == {"all well"}
    verdicts = {row[0]: row[1:] for row in partial_report.rows("table-verdicts")}
    assert verdicts["lenet5_vone"].count("weak") == 1
    third = partial_report.query("<question>", "value")[2]
    doubts = [
        a for a, status in zip(third["answers"], third["statuses"], strict=True) if status == "doubtful"
    ]
    assert len(doubts) == 1
    assert "lenet5_vone" in doubts[0]


def test_partial_run_says_what_is_missing(partial_report: LaidOut) -> None:
    notices = " ".join(partial_report.document.notices)
    assert "lenet5_diverse" in notices
    assert "lenet5_vone without probes" in notices
    found = {each["question"]: each for each in partial_report.query("<question>", "value")}
    assert sorted(found) == [1, 2, 3, 4, 5, 6, 7]
    assert found[6]["statuses"] == ["missing"]
    assert "missing" in found[7]["statuses"]
    assert "missing" not in found[1]["statuses"]


def test_equal_inputs_give_equal_bytes(whole_report: LaidOut) -> None:
    first = typesetting.compile_pdf(whole_report.main, whole_report.root)
    assert first.startswith(b"%PDF")
    assert first == typesetting.compile_pdf(whole_report.main, whole_report.root)


@pytest.mark.parametrize(("lines", "pages"), [(1, 1), (6, 3)])
def test_a_table_is_divided_where_a_page_does_not_hold_it(tmp_path: Path, lines: int, pages: int) -> None:
    rows = [[Cell("\n".join([f"row {row}"] * lines))] for row in range(30)]
    table = asdict(Table("long", "c", columns("t"), rows))
    main = typesetting.lay_out(table, "report.typ", tmp_path)
    main.write_text(
        '#import "blocks.typ": page-style, show-block\n#show: page-style\n'
        '#show-block(json("document.json"))\n#context [#metadata(here().page()) <last>]\n'
    )
    assert typesetting.query(main, tmp_path, "<last>", "value") == [pages]
