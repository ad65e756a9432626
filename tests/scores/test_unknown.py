"""Scores of objects of no class against answers found by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from score_tables import value
from sklearn.metrics import roc_auc_score

from robustness.scores import from_unknown
from robustness.scores.unknown import accepted, auroc

ONE = np.ones((1, 4))


def tables(known: list[float], unknown: list[float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of a model that is as sure, by both measures, as the lists say; an object an image."""

    def table(sure: list[float], shift: str) -> pd.DataFrame:
        objects = [f"{shift}{number}" for number in range(len(sure))]
        columns = {"model": "net", "shift": shift, "object": objects}
        return pd.DataFrame({**columns, "confidence": sure, "energy": [-each for each in sure]})

    return table(known, "clean"), table(unknown, "none")


def test_sure_of_what_it_knows_alone() -> None:
    scores = from_unknown(*tables([0.9, 0.8, 0.7], [0.3, 0.2]), resamples=50)
    for of in ("softmax", "energy"):
        assert value(scores, f"unknown/{of}/auroc") == 1
        assert value(scores, f"unknown/{of}/accepted") == 0


def test_as_sure_of_both() -> None:
    scores = from_unknown(*tables([0.5] * 4, [0.5] * 3), resamples=50)
    assert value(scores, "unknown/softmax/auroc") == 0.5
    assert value(scores, "unknown/softmax/accepted") == 1


def test_the_area_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    known, unknown = generator.normal(0.5, 1, 60).round(1), generator.normal(0, 1, 40).round(1)
    expected = roc_auc_score(np.r_[np.ones(60), np.zeros(40)], np.r_[known, unknown])
    assert auroc(known, unknown, np.ones((1, 60)), np.ones((1, 40)))[0] == pytest.approx(expected)


def test_a_weight_stands_for_so_many_images() -> None:
    known, unknown = np.array([3.0, 2.0, 1.0, 0.0]), np.array([2.5, 0.5])
    weights, twice = np.array([[2.0, 0, 1, 1]]), np.array([3.0, 3.0, 1.0, 0.0])
    for score in (auroc, accepted):
        weighted = score(known, unknown, weights, np.ones((1, 2)))
        assert weighted == pytest.approx(score(twice, unknown, ONE, np.ones((1, 2))))


def test_the_threshold_keeps_95_per_cent_of_the_known() -> None:
    known = np.arange(100.0)  # 95 of them are 5 or more
    share = accepted(known, np.array([4.0, 5.0, 6.0, 0.0]), np.ones((1, 100)), ONE)
    assert share[0] == 0.5


def test_without_unknown_images_there_are_no_scores() -> None:
    known, unknown = tables([0.5], [0.5])
    assert from_unknown(known, unknown[:0]).empty
