"""Scores of confidence against answers found by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from score_tables import predictions, share, value

from robustness.scores import from_confidences
from robustness.scores.calibration import calibration_error

CLEAN = ("net", "clean", "none", "0")


def test_the_error_of_known_confidences() -> None:
    """Two bins: sure of 0.9 and half right, sure of 0.2 and never right."""
    confidence = np.array([0.2, 0.2, 0.9, 0.9])
    right = np.array([0.0, 0.0, 1.0, 0.0])
    assert calibration_error(confidence, right, bins=2) == pytest.approx((0.2 + 0.4) / 2)
    many = np.stack([right, confidence])
    assert calibration_error(confidence, many, bins=2) == pytest.approx([0.3, 0.0])


def test_overconfidence_and_the_surer_half() -> None:
    table = predictions({CLEAN: share(0.5), ("net", "pose", "azimuth", "90"): share(0.25)})
    right = table["prediction"] == table["label"]
    table = table.assign(confidence=np.where(right, 0.8, 0.7))
    scores = from_confidences(table)
    assert value(scores, "clean/overconfidence") == pytest.approx(0.75 - 0.5)
    assert value(scores, "pose/overconfidence") == pytest.approx(0.725 - 0.25)
    assert value(scores, "clean/selective_accuracy") == 1
    assert value(scores, "pose/selective_accuracy") == pytest.approx(0.5)


def test_a_calibrated_model_shows_what_chance_shows() -> None:
    generator = np.random.default_rng(0)
    table = predictions({CLEAN: [generator.integers(0, 2, 20).tolist() for _ in range(40)]})
    confidence = generator.random(len(table))
    right = generator.random(len(table)) < confidence
    table = table.assign(
        confidence=confidence, prediction=np.where(right, table["label"], table["label"] + 1)
    )
    scores = from_confidences(table).set_index("metric")
    by_chance = scores.loc["clean/calibration_error_by_chance"]
    assert by_chance["low"] < scores.loc["clean/calibration_error", "value"] < by_chance["high"]
    assert by_chance["value"] > 0.02  # in 800 images even the best model shows an error
    doubled = from_confidences(table.assign(confidence=confidence**4)).set_index("metric")["value"]
    assert doubled["clean/calibration_error"] > 3 * doubled["clean/calibration_error_by_chance"]


def test_swaps_and_the_sphere_are_left_out() -> None:
    table = predictions({CLEAN: share(0.5), ("net", "clutter", "swap", "only_fg"): share(0.5),
                         ("net", "pose", "sphere", "az0_el0"): share(0.5)})  # fmt: skip
    scores = from_confidences(table.assign(confidence=0.5))
    assert set(scores["shift"]) == {"clean"}
    assert isinstance(scores, pd.DataFrame)
