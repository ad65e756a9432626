"""Sentences of questions 4, 6 and 7: each from hand-made numbers whose right sentence is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hand_made import ROBUST, context, model

from robustness.report.context import ReportContext
from robustness.report.document import Answer
from robustness.report.inputs import TABLES
from robustness.report.sections import (
    agreement,
    association,
    frontend,
    interventions,
    learning_curve,
    training,
    twins,
)

TWINS = {
    "a": model("alexnet"),
    "av": model("alexnet", "vone"),
    "v": model("vgg11"),
    "vv": model("vgg11", "vone"),
}


def with_effect(made: ReportContext, *rows: tuple) -> ReportContext:
    """The context with effects of the front-end: (metric, value, low, high, verdict, needed architectures,
    needed objects) over two architectures and 50 objects."""
    table = [
        ("frontend", "vone", "learned", "canonical", metric, value, low, high, 2, 1, 50, verdict, *needed)
        for metric, value, low, high, verdict, *needed in rows
    ]
    effects = pd.DataFrame(table, columns=list(TABLES["effects"]))
    return replace(made, inputs=replace(made.inputs, effects=effects))


@pytest.mark.parametrize(
    ("effect", "words", "status"),
    [
        (
            (ROBUST, 0.155, 0.05, 0.26, "higher", 2, 50),
            "raises robust accuracy at L∞ 4/255: +15.5 points [+5.0, +26.0], the mean of 2 architectures (of "
            "2 pairs 1 higher, 0 lower, 1 undecided).",
            "found",
        ),
        (
            (ROBUST, 0.155, -0.05, 0.36, "undecided", 7, 400),
            "; about 7 architectures or 400 test objects would decide an effect this large.",
            "undecided",
        ),
        (
            (ROBUST, 0.01, -0.2, 0.2, "undecided", np.inf, np.inf),
            "; neither more architectures nor more objects alone would decide it.",
            "undecided",
        ),
        (
            (ROBUST, 0.001, -0.02, 0.02, "equivalent", 9, 9),
            "changes robust accuracy at L∞ 4/255 by less than three points: ",
            "found",
        ),
    ],
)
def test_the_front_end_is_judged_by_its_mean_over_architectures(
    effect: tuple, words: str, status: str
) -> None:
    scores = {(name, ROBUST): (0.5, 0.4, 0.6) for name in TWINS}
    comparisons = [("av", "a", ROBUST, 0.3, 0.2, 0.4), ("vv", "v", ROBUST, 0.01, -0.1, 0.12)]
    made = with_effect(context(TWINS, scores, comparisons), effect)
    found = twins.sentence_of_many(made, "It", frontend._pairs(made), twins.measures((4, ROBUST))["robust"])
    assert words in found.text
    assert found.status == status


def test_effects_on_several_scores_are_told_in_one_sentence() -> None:
    rows = [
        ("attack/worst_linf/area", 0.2, 0.1, 0.3, "higher", 2, 2),
        (ROBUST, 0.155, 0.05, 0.26, "higher", 2, 50),
        ("pose/accuracy", -0.01, -0.05, 0.03, "undecided", 9, 9),
    ]
    scores = {(name, ROBUST): (0.5, 0.4, 0.6) for name in TWINS}
    comparisons = [(a, b, "attack/worst_linf/area", 0.2, 0.1, 0.3) for a, b in (("av", "a"), ("vv", "v"))]
    first, robust, shifted = frontend._answers(with_effect(context(TWINS, scores, comparisons), *rows))
    assert first.text.startswith("The V1 front-end (vone against learned) raises robust accuracy averaged")
    assert robust == Answer("Its effect on robust accuracy (L∞): +15.5 points [+5.0, +26.0] at 4/255.")
    assert shifted.text == "Its effect on accuracy: −1.0 points [−5.0, +3.0] under 3-D pose (undecided)."
    assert shifted.status == "undecided"


def test_claims_of_the_paper_are_judged_by_direction() -> None:
    made = context(TWINS, {(name, ROBUST): (0.5, 0.4, 0.6) for name in TWINS})
    rows = [
        ("attack/worst_linf/area", 0.2, 0.1, 0.3, "higher", 2, 2),
        ("clean/accuracy", 0.05, 0.01, 0.09, "higher", 2, 2),
        ("corruption/accuracy", -0.01, -0.05, 0.03, "undecided", 9, 9),
    ]
    verdicts = [row[-1].text for row in frontend._claims(with_effect(made, *rows)).rows]
    assert verdicts == ["reproduced", "not reproduced", "undecided", *["not tested here"] * 2,
                        "not testable here"]  # fmt: skip
    assert frontend._claims(made) is None


def test_an_interval_that_holds_zero_is_undecided() -> None:
    made = context(TWINS, {("a", ROBUST): (0.5, 0.4, 0.6), ("av", ROBUST): (0.5, 0.4, 0.6)},
                 [("av", "a", "clean/accuracy", -0.04, -0.09, 0.01)])  # fmt: skip
    pair = (made.models.by_name("av"), made.models.by_name("a"))
    measure = twins.measures(None)["clean"]
    answer = twins.sentence_of_one(made, "It", pair, measure)
    assert answer == Answer(
        "It: its effect on clean accuracy is undecided, −4.0 points [−9.0, +1.0].", "undecided"
    )


def test_a_drop_that_shrinks_because_less_can_be_lost_is_not_praised() -> None:
    models = {"a": model("alexnet"), "ad": model("alexnet", training="diverse")}
    comparisons = [
        ("ad", "a", "pose/drop", -0.2, -0.3, -0.1),
        ("ad", "a", "pose/accuracy", -0.1, -0.2, -0.05),
        ("ad", "a", "clean/accuracy", -0.3, -0.4, -0.2),
    ]
    found = training._answers(
        context(models, {(n, "clean/accuracy"): (0.5, 0.4, 0.6) for n in models}, comparisons)
    )
    assert "lowers accuracy under 3-D pose: −10.0 points" in found[0].text
    assert not any("drop" in answer.text or "smaller" in answer.text for answer in found)


def test_without_twins_questions_four_and_seven_have_no_answer() -> None:
    made = context({"a": model("alexnet")}, {("a", "clean/accuracy"): (0.8, 0.7, 0.9)})
    assert [answer.status for answer in frontend._answers(made)] == ["missing"]
    assert [answer.status for answer in training._answers(made)] == ["missing"]


def test_interventions_are_compared_with_what_the_plain_model_loses() -> None:
    models = {
        "a": model("alexnet"),
        "ad": model("alexnet", training="diverse"),
        "av": model("alexnet", "vone"),
        "avd": model("alexnet", "vone", "diverse"),
        "v": model("vgg11"),
        "vv": model("vgg11", "vone"),
    }
    metric = "pose/accuracy"
    comparisons = [
        ("ad", "a", metric, 0.2, 0.1, 0.3),
        ("av", "a", metric, -0.05, -0.12, 0.02),
        ("avd", "a", metric, 0.15, 0.05, 0.25),
        ("vv", "v", metric, 0.1, 0.05, 0.2),
        ("v", "a", metric, 0.12, 0.01, 0.2),
    ]
    scores = {(name, "clean/accuracy"): (0.5, 0.4, 0.6) for name in models}
    scores |= {("a", "pose/drop"): (0.3, 0.25, 0.35)}
    made = context(models, scores, comparisons)
    # Without a diverse or adversarial sibling a net has no row: its front-end is in question 4.
    assert {each.plain.name for each in interventions.interventions(made)} == {"a"}
    assert [answer.text for answer in interventions.answers(made)] == [
        "a loses 30.0 points [25.0, 35.0] to 3-D pose; its accuracy there changes by +20.0 points [+10.0, "
        "+30.0] with diverse training, −5.0 points [−12.0, +2.0] (undecided) with V1 front-end, +15.0 points "
        "[+5.0, +25.0] with V1 front-end, diverse."
    ]
    marked = made.inputs.comparisons.assign(axis=["training", "frontend", "both", "frontend", "architecture"])
    with_best = replace(made, inputs=replace(made.inputs, comparisons=marked))
    (found,) = interventions.answers(with_best)
    assert found.text.endswith(
        "For comparison: v, the best architecture, less a, the median one: +12.0 points [+1.0, +20.0]."
    )


def test_more_data_is_told_with_its_interval_and_undecided_where_it_holds_zero() -> None:
    rows = [
        (name, axis, part, objects, images, "clean/accuracy", 0.5, 0.4, 0.6, 50)
        for name, axis, part, objects, images in (
            ("objects_0.5", "objects", 0.5, 94, 2000),
            ("all_1.0", "objects", 1.0, 188, 4000),
            ("views_0.5", "views", 0.5, 188, 2000),
            ("all_1.0", "views", 1.0, 188, 4000),
        )
    ]
    comparisons = [
        ("all_1.0", "objects_0.5", "clean/accuracy", 0.06, 0.02, 0.1),
        ("all_1.0", "objects_0.5", "clutter/accuracy", 0.01, -0.02, 0.04),
        ("all_1.0", "views_0.5", "clean/accuracy", 0.01, -0.03, 0.05),
    ]
    made = context({"a": model("alexnet")}, {("a", "clean/accuracy"): (0.5, 0.4, 0.6)}, comparisons)
    table = pd.DataFrame(rows, columns=list(TABLES["learning_curve"]))
    curve = {"model": {"architecture": "resnet18", "frontend": "vone"}}
    inputs = replace(
        made.inputs, learning_curve=table, params={**made.inputs.params, "learning_curve": curve}
    )
    assert learning_curve.answers(replace(made, inputs=inputs)) == [
        Answer(
            "More objects for resnet18 (vone), 50 % to 100 % of them (94 to 188 objects) in about as many "
            "steps: clean accuracy changes by +6.0 points [+2.0, +10.0], accuracy under clutter changes by "
            "+1.0 points [−2.0, +4.0] (undecided)."
        ),
        Answer(
            "More views for resnet18 (vone), 50 % to 100 % of them (2000 to 4000 images of the same 188 "
            "objects) in about as many steps: clean accuracy changes by +1.0 points [−3.0, +5.0] "
            "(undecided).",
            "undecided",
        ),
    ]
    assert learning_curve.answers(made) == []
    assert learning_curve.figure(made) is None


def association_answers(noise: float) -> list[Answer]:
    names = [
        "alexnet",
        "vgg11",
        "resnet18",
        "resnet34",
        "resnet50",
        "googlenet",
        "zfnet",
        "lenet5",
        "vgg13",
        "vgg19",
    ]
    generator = np.random.default_rng(3)
    scores = {}
    for index, name in enumerate(names):
        scores[name, "clean/accuracy"] = (0.5 + 0.03 * float(generator.random()), 0.4, 0.6)
        scores[name, "pose/drop"] = (0.02 * index, 0.0, 1.0)
        value = index + noise * float(generator.normal())
        scores[name, "probe/filters/stem/gabor_r2"] = (value, value, value)
        for circular in ("knn_purity_2d", "placed_purity/pose/azimuth/90", "moved/attack/4"):
            scores[name, f"probe/embedding/penultimate/{circular}"] = (index, index, index)
    made = context({name: model(name) for name in names}, scores)
    tables, reason = association.associate(made)
    assert list(tables) == ["across"], reason
    return association._answers(tables)


def test_agreement_of_architectures_is_judged_by_that_of_a_net_with_itself() -> None:
    architectures = {"a": "alexnet", "a2": "alexnet", "v": "vgg11"}
    kappas = [("a", "a2", 0.6), ("a", "v", 0.3), ("a2", "v", 0.3)]
    found = pd.DataFrame(kappas, columns=["model_a", "model_b", "kappa"])
    told = agreement.answer(found, "pose", architectures)
    assert told.text == (
        "On images under 3-D pose the errors of different architectures agree with κ = 0.30 (mean of 2 "
        "pairs, 0.30 to 0.30), those of one net trained from two seeds with κ = 0.60 (1 pairs): 50 % of the "
        "agreement that a net has with itself is shared by all."
    )
    alone = agreement.answer(found[1:], "clean", architectures)
    assert alone.status == "undecided"
    assert "was not measured" in alone.text
    alike = agreement.answer(found.assign(kappa=0.5), "clean", architectures)
    assert alike.text.endswith("which objects are hard does not depend on the architecture.")


def test_a_planted_relation_is_found_and_noise_is_not() -> None:
    found = association_answers(0.0)
    assert found[0].text == (
        "Probe numbers predict robustness numbers with clean accuracy held constant, after correction for so "
        "many tests: 1 of 1 pairs across architectures are related."
    )
    assert "gabor r2 (filters, stem) with pose drop, ρ = 1.00 [1.00, 1.00] over 10" in found[1].text
    nothing = association_answers(1000.0)
    assert nothing[0].status == "undecided"
    assert nothing[0].text.startswith("Probe numbers do not predict")


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("worst_l2/eps_0.5", "robust accuracy (L2, ε = 0.5)"),
        ("pose_azimuth_90_l2/eps_0.5", "robust accuracy under pose azimuth 90 (L2, ε = 0.5)"),
        ("pose_azimuth_90_linf/eps_2", "robust accuracy under pose azimuth 90 (L∞, ε = 2/255)"),
    ],
)
def test_budgets_of_other_norms_and_conditions_in_words(attack: str, words: str) -> None:
    metric = f"attack/{attack}/robust_accuracy"
    made = context(TWINS, {("a", metric): (0.1, 0.05, 0.2), ("av", metric): (0.4, 0.3, 0.5)},
                 [("av", "a", metric, 0.3, 0.2, 0.4)])  # fmt: skip
    (answer,) = frontend._shifted_answers(made)
    assert words in answer.text
    assert ("255" in answer.text) == ("linf" in attack)


def test_weights_from_elsewhere_lack_no_history() -> None:
    made = context({"a": model("alexnet")}, {("a", "clean/accuracy"): (0.8, 0.7, 0.9)}).inputs
    assert "histories" in made.missing["a"]
    there = replace(made, models=pd.DataFrame([{"model": "a", "epochs": 0}], columns=made.models.columns))
    assert "histories" not in there.missing["a"]
