"""Scores and differences of a learning curve from predictions whose right answers are counted by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from score_tables import predictions, share

from robustness.errors import UserError
from robustness.scores import compare_largest, from_learning_curve
from robustness.scores.learning_curve import COLUMNS, METRICS

OBJECTS = 20
# (axis, share): accuracy on clean images, at azimuth 90, with 2 distractors, on the sphere.
RIGHT = {
    ("objects", 0.25): (0.4, 0.2, 0.1, 1.0),
    ("objects", 0.5): (0.6, 0.3, 0.3, 1.0),
    ("views", 0.5): (0.8, 0.5, 0.3, 1.0),
    ("all", 1.0): (0.8, 0.7, 0.3, 1.0),
}
CONDITIONS = (
    ("clean", "none", "0"),
    ("pose", "azimuth", "90"),
    ("clutter", "distractors", "2"),
    ("pose", "sphere", "az0_el0"),
)


def table(*left_out: tuple[str, float]) -> pd.DataFrame:
    parts = []
    for (axis, part), right in RIGHT.items():
        if (axis, part) in left_out:
            continue
        name = f"{axis}_{part}"
        found = predictions({(name, *c): share(r, OBJECTS) for c, r in zip(CONDITIONS, right, strict=True)})
        parts.append(found.assign(axis=axis, share=part, objects=int(100 * part), images=400, epochs=3))
    return pd.concat(parts, ignore_index=True)


def test_values_stand_by_axis_share_and_metric_and_all_of_the_data_ends_both_axes() -> None:
    found = from_learning_curve(table(), classes=4, seed=1, resamples=200)
    assert list(found.columns) == list(COLUMNS)
    assert set(found["metric"]) == set(METRICS)
    expected = {(axis, part): right[:3] for (axis, part), right in RIGHT.items() if axis != "all"}
    expected |= {(axis, 1.0): RIGHT["all", 1.0][:3] for axis in ("objects", "views")}
    values = found.set_index(["axis", "share", "metric"])["value"]
    assert len(values) == 3 * len(expected)
    for (axis, part), right in expected.items():
        assert [values[axis, part, metric] for metric in METRICS] == pytest.approx(right)
    assert (found["low"] <= found["value"]).all()
    assert (found["value"] <= found["high"]).all()
    assert (found["n"] == OBJECTS).all()
    assert found.loc[found["axis"] == "objects", "objects"].tolist() == [25] * 3 + [50] * 3 + [100] * 3


def test_the_largest_share_is_set_against_the_one_below() -> None:
    found = compare_largest(table(), classes=4, seed=1, resamples=200)
    assert set(found["axis"]) == {"learning_curve"}
    pairs = set(zip(found["model_a"], found["model_b"], strict=True))
    assert pairs == {("all_1.0", "objects_0.5"), ("all_1.0", "views_0.5")}
    by = found.set_index(["model_b", "metric"])
    assert by.loc[("objects_0.5", "clean/accuracy"), "difference"] == pytest.approx(0.2)
    assert by.loc[("objects_0.5", "pose/accuracy"), "difference"] == pytest.approx(0.4)
    assert by.loc[("objects_0.5", "pose/accuracy"), "verdict"] == "higher"
    assert by.loc[("views_0.5", "clean/accuracy"), "difference"] == pytest.approx(0.0)
    assert by.loc[("views_0.5", "clean/accuracy"), "verdict"] == "undecided"
    assert (found["p_holm"] >= found["p"]).all()


def test_without_the_whole_data_the_largest_shares_are_compared() -> None:
    found = compare_largest(table(("all", 1.0)), classes=4, seed=1, resamples=200)
    assert set(zip(found["model_a"], found["model_b"], strict=True)) == {("objects_0.5", "objects_0.25")}


def test_no_learning_curve_gives_no_rows_and_a_missing_column_is_named() -> None:
    empty = table().iloc[:0]
    assert from_learning_curve(empty, classes=4).empty
    assert compare_largest(empty, classes=4).empty
    with pytest.raises(UserError, match="lacks the column 'share'"):
        from_learning_curve(table().drop(columns="share"), classes=4)
