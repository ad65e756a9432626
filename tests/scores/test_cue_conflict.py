"""Shape or material: nets that know only one of the two, and one that knows neither."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from score_tables import row, value

from robustness.scores import from_predictions
from robustness.scores.twins import METRICS

CLASSES, OBJECTS, SCENES = 10, 40, 2


def conflict(answers: np.ndarray | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and samples of objects that wear the materials of another class, beside clean ones."""
    labels = np.repeat(np.arange(OBJECTS) % CLASSES, SCENES)
    worn = (labels + 1 + np.arange(len(labels)) % (CLASSES - 1)) % CLASSES
    facts = {"object": [f"object{i:03d}" for i in np.repeat(np.arange(OBJECTS), SCENES)], "label": labels}
    clean = pd.DataFrame({"shift": "clean", "factor": "none", "level": "0", "surface_label": -1} | facts)
    other = pd.DataFrame({"shift": "cue", "factor": "surface", "level": "other"} | facts)
    other["surface_label"] = worn
    samples = pd.concat([clean, other], ignore_index=True).rename_axis("sample").reset_index()
    chosen = labels if answers is None else answers
    predictions = samples.drop(columns="surface_label").assign(model="net")
    predictions["prediction"] = np.concatenate([labels, chosen])
    return predictions, samples


def scores_of(answers: np.ndarray | None = None) -> pd.DataFrame:
    predictions, samples = conflict(answers)
    return from_predictions(predictions, classes=CLASSES, samples=samples, resamples=200)


def test_a_net_that_knows_shapes_alone_has_all_and_one_that_knows_materials_alone_nothing() -> None:
    assert value(scores_of(), "cue/shape_share") == 1
    assert value(scores_of(), "cue/surface_answers") == 0
    samples = conflict()[1]
    materials = samples.loc[samples["surface_label"] >= 0, "surface_label"].to_numpy()
    blind = scores_of(materials)
    assert value(blind, "cue/shape_share") == 0
    assert value(blind, "cue/surface_answers") == 1
    assert value(blind, "cue/surface/other/accuracy") == 0


def test_other_answers_are_left_out_of_the_share_but_not_of_the_two_parts() -> None:
    _, samples = conflict()
    part = samples[samples["surface_label"] >= 0]
    neither = (part["label"] + np.where(part["surface_label"] == (part["label"] + 1) % 10, 2, 1)) % 10
    answers = np.select(
        [np.arange(len(part)) % 8 < 3, np.arange(len(part)) % 8 == 3],
        [part["label"], part["surface_label"]],
        neither,
    )
    scores = scores_of(answers)
    assert value(scores, "cue/shape_share") == pytest.approx(3 / 4)
    assert value(scores, "cue/shape_answers") == pytest.approx(3 / 8)
    assert value(scores, "cue/surface_answers") == pytest.approx(1 / 8)
    share = row(scores, "cue/shape_share")
    assert share["low"] < 3 / 4 < share["high"]
    assert share["n"] == OBJECTS / 2  # of the others no answer counts
    assert row(scores, "cue/shape_answers")["n"] == OBJECTS


def test_random_answers_give_a_half() -> None:
    rng = np.random.default_rng(0)
    shares = [
        value(scores_of(rng.integers(0, CLASSES, OBJECTS * SCENES)), "cue/shape_share") for _ in range(60)
    ]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.06)


def test_twins_are_compared_in_it() -> None:
    assert "cue/shape_share" in METRICS
