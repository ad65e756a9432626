"""Sentences of questions 1 to 3: each from hand-made numbers whose right sentence is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_made import ROBUST, context, model, texts

from robustness.report.context import trust
from robustness.report.sections import (
    attacking,
    clean,
    layers,
    shifting,
)


def test_best_worst_and_those_at_chance_are_named() -> None:
    models = {"a": model("alexnet"), "b": model("lenet5"), "c": model("vgg11")}
    found = clean._answers(
        context(
            models,
            {
                ("a", "clean/accuracy"): (0.8, 0.7, 0.9),
                ("b", "clean/accuracy"): (0.12, 0.05, 0.2),
                ("c", "clean/accuracy"): (0.6, 0.5, 0.7),
            },
        )
    )
    assert "a is the most accurate of 3 models on clean images: 80.0 % [70.0, 90.0]; b the least" in texts(
        found
    )
    assert "interval of b includes the share of the most frequent class" in texts(found, "doubtful")


@pytest.mark.parametrize(
    ("drops", "words", "status"),
    [
        (
            [(0.3, 0.2, 0.4), (0.25, 0.12, 0.3)],
            "all 2 models lose significantly more than ten points:",
            "found",
        ),
        (
            [(0.3, 0.2, 0.4), (0.12, 0.05, 0.2)],
            "1 of 2 models lose significantly more than ten points (0 less",
            "found",
        ),
        (
            [(0.12, 0.05, 0.2), (0.11, 0.04, 0.2)],
            "none of the 2 models lose significantly more than ten points",
            "undecided",
        ),
        (
            [(0.02, 0.0, 0.05), (0.01, 0.0, 0.04)],
            "none of the 2 models lose significantly more than ten points",
            "found",
        ),
    ],
)
def test_double_digits_are_claimed_only_where_the_interval_bears_it(
    drops: list[tuple[float, float, float]], words: str, status: str
) -> None:
    scores = {(name, "clean/accuracy"): (0.8, 0.7, 0.9) for name in "ab"}
    scores |= {(name, "pose/drop"): drop for name, drop in zip("ab", drops, strict=True)}
    (found,) = shifting._answers(context({"a": model("alexnet"), "b": model("vgg11")}, scores), "pose")
    assert words in found.text
    assert found.status == status


def test_a_model_at_chance_has_nothing_to_lose() -> None:
    scores = {
        ("a", "clean/accuracy"): (0.8, 0.7, 0.9),
        ("b", "clean/accuracy"): (0.1, 0.05, 0.2),
        ("a", "clutter/drop"): (0.3, 0.2, 0.4),
        ("b", "clutter/drop"): (0.0, -0.1, 0.1),
    }
    (found,) = shifting._answers(context({"a": model("alexnet"), "b": model("vgg11")}, scores), "clutter")
    assert found.text == "Clutter: a loses 30.0 points [20.0, 40.0]."


def test_a_robust_accuracy_with_a_failed_check_is_not_praised_plainly() -> None:
    scores = {("a", ROBUST): (0.6, 0.5, 0.7), ("b", ROBUST): (0.0, 0.0, 0.05)}
    made = context(
        {"a": model("alexnet", "vone"), "b": model("alexnet")},
        scores,
        checks=[("a", "ok"), ("a", "weak"), ("b", "small"), ("b", "ok")],
    )
    assert [trust(made, each) for each in made.models] == ["small", "weak"]
    found = attacking._answers(made)
    assert (
        "1 of 2 models is significantly below 10.0 %, what the most frequent class gives, at L∞ 4/255; a"
        in found[0].text
    )
    assert "(checks: attack too weak)" in found[0].text
    assert "Attack too weak: a; a further rung would break more" in texts(found, "doubtful")


def test_unchecked_robust_accuracies_are_called_so() -> None:
    found = attacking._answers(context({"a": model("alexnet")}, {("a", ROBUST): (0.6, 0.5, 0.7)}))
    assert texts(found, "missing") == "No checks were made for a."


def test_few_filters_are_left_out_of_the_sentence() -> None:
    excess = "probe/filters/stem/gabor_r2_excess"
    made = context(
        {"a": model("alexnet"), "b": model("lenet5")},
        {("a", excess): (0.6, 0.5, 0.7), ("b", excess): (0.9, 0.8, 1.0)},
    )
    assert "best in b" in layers._gabor_answer(made).text
    scores = made.inputs.scores.assign(n=lambda table: table["n"].where(table["model"] == "a", 6))
    few = replace(made, inputs=replace(made.inputs, scores=scores))
    assert "best in a" in layers._gabor_answer(few).text
