"""What question 5 says of moves in the last layer, and of attributions against interventions."""

from __future__ import annotations

import hand_made
import numpy as np
import pytest

from robustness.report.sections import attribution, last_layer

MODELS = {
    "alexnet": hand_made.model("alexnet"),
    "lenet5": hand_made.model("lenet5"),
    "vgg11": hand_made.model("vgg11"),
    "alexnet_vone": hand_made.model("alexnet", "vone"),
}
NUMBER = (np.nan, np.nan)


def effects(accuracy_of_vgg: float = 0.9) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Integrated gradients are 0.2, 0.3, 0.4 better than area; the gradient −0.1, 0, 0.1."""
    found = {}
    for place, name in enumerate(("alexnet", "lenet5", "vgg11")):
        accuracy = accuracy_of_vgg if name == "vgg11" else 0.9
        found[name, "clean/accuracy"] = (accuracy, accuracy - 0.05, accuracy + 0.05)
        for metric, value in (
            ("distractor_share", 0.4 + 0.1 * place),
            ("integrated/effect_rank", 0.4 + 0.1 * place),
            ("area/signed_effect_rank", 0.2),
            ("gradient/effect_rank", 0.4 + 0.1 * place),
            ("area/effect_rank", 0.5),
        ):
            found[name, f"probe/saliency/logits/clutter_distractors_8/{metric}"] = (value, *NUMBER)
    return found


def test_maps_that_rank_effects_are_told_from_those_that_know_the_area_alone() -> None:
    answer = attribution.effects_answer(hand_made.context(MODELS, effects()))
    assert answer.text == (
        "Taken out of the image in turn, distractors make up 50.0 % of what the parts of a cluttered scene "
        "change of the label's logit; integrated gradients rank the effects with ρ = 0.50, 0.30 [0.05, 0.55] "
        "above that of the parts' area; the gradient ranks their sizes with ρ = 0.50, 0.00 [−0.25, 0.25] "
        "above that of the parts' area (undecided). Means over 3 architectures that learned the task, with "
        "learned stems."
    )


def test_what_the_v1_front_end_changes_is_told_of_two_architectures_or_more() -> None:
    found = effects()
    models = dict(MODELS)
    for name, value in (("alexnet_vone", 0.3), ("lenet5_vone", 0.38)):  # 10 and 12 points less
        models[name] = hand_made.model(name.removesuffix("_vone"), "vone")
        found[name, "clean/accuracy"] = (0.9, 0.85, 0.95)
        found[name, "probe/saliency/logits/clutter_distractors_8/distractor_share"] = (value, *NUMBER)
        answer = attribution.effects_answer(hand_made.context(models, found))
        assert ("V1" in answer.text) == (name == "lenet5_vone")
    assert "50.0 % (−11.0 points [−23.7, +1.7] with the V1 front-end (undecided)) of what" in answer.text


def test_a_model_that_did_not_learn_does_not_count_and_one_is_too_few() -> None:
    answer = attribution.effects_answer(hand_made.context(MODELS, effects(accuracy_of_vgg=0.1)))
    assert "45.0 %" in answer.text
    assert answer.text.endswith("Means over 2 architectures that learned the task, with learned stems.")
    one = {key: value for key, value in effects().items() if key[0] == "alexnet"}
    assert attribution.effects_answer(hand_made.context(MODELS, one)) is None
    assert (
        attribution.effects_table(hand_made.context(MODELS, {("alexnet", "clean/accuracy"): (1, 1, 1)}))
        is None
    )


def test_the_table_of_effects_has_what_was_measured() -> None:
    table = attribution.effects_table(hand_made.context(MODELS, effects()))
    assert len(table.columns) == 6
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert rows["lenet5"] == ["0.50", "0.50", "0.20", "0.50", "0.50"]


@pytest.fixture
def moves() -> dict[tuple[str, str], tuple[float, float, float]]:
    found = {}
    for name, value in (("alexnet", 0.4), ("lenet5", 0.6), ("alexnet_vone", 0.9)):
        found[name, f"{last_layer.STAGE}/moved/pose/azimuth/90"] = (value, *NUMBER)
        found[name, f"{last_layer.STAGE}/other_class/pose/azimuth/90"] = (value + 0.1, *NUMBER)
        found[name, f"{last_layer.STAGE}/other_class/clean"] = (value - 0.2, *NUMBER)
    return found


def test_moves_are_told_beside_what_lies_with_another_class_unmoved(moves: dict) -> None:
    context = hand_made.context(MODELS, moves)
    assert last_layer.answer(context).text == (
        "How far a condition moves the median image at the last layer of learned nets, in mean distances "
        "between the centres of two classes (how many then lie nearest to another class's): pose/azimuth/90 "
        "by 0.50 (60.0 %). Unmoved, 30.0 % do (means over 2 models)."
    )
    assert last_layer.columns(context)[-2:] == [
        ("moved/pose/azimuth/90", "moved, pose/azimuth/90"),
        ("other_class/pose/azimuth/90", "nearest to another class, pose/azimuth/90"),
    ]
    assert last_layer.answer(hand_made.context(MODELS, {("alexnet", "clean/accuracy"): (1, 1, 1)})) is None
