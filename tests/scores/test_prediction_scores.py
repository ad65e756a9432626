"""Scores of predictions against answers found by hand."""

import numpy as np
import pandas as pd
import pytest
from score_tables import predictions, row, share, value

from robustness.errors import UserError
from robustness.scores import corruption, error_consistencies, from_predictions
from robustness.scores.conditions import view
from robustness.scores.consistency import kappa
from robustness.scores.table import COLUMNS
from robustness.statistics.bootstrap import interval_over_objects, percentiles, resampling_weights

CLEAN = ("net", "clean", "none", "0")


def pose(factor: str, level: str) -> tuple[str, str, str, str]:
    return ("net", "pose", factor, level)


def test_accuracy_and_drops():
    table = predictions(
        {
            CLEAN: share(0.8),
            pose("azimuth", "30"): share(0.6),
            pose("azimuth", "90"): share(0.4),
            pose("elevation", "90"): share(0.2),
        }
    )
    scores = from_predictions(table, classes=10)
    assert value(scores, "clean/accuracy") == pytest.approx(0.8)
    assert value(scores, "pose/azimuth/90/accuracy") == pytest.approx(0.4)
    assert value(scores, "pose/azimuth/90/drop") == pytest.approx(0.4)
    assert value(scores, "pose/azimuth/90/relative_drop") == pytest.approx(0.5)
    assert value(scores, "pose/azimuth/90/retained") == pytest.approx((0.4 - 0.1) / (0.8 - 0.1))
    assert value(scores, "pose/azimuth/drop") == pytest.approx(0.3)
    # Each factor counts once: (0.3 + 0.6) / 2, not the mean of three levels.
    assert value(scores, "pose/drop") == pytest.approx(0.45)
    assert value(scores, "pose/accuracy") == pytest.approx(0.35)
    assert value(scores, "pose/relative_drop") == pytest.approx(1 - 0.35 / 0.8)
    assert value(scores, "pose/azimuth/worst_accuracy") == pytest.approx(0.4)
    assert value(scores, "pose/azimuth/worst_drop") == pytest.approx(0.4)
    # Trapezoids over 0, 30, 90 degrees with 0.8, 0.6, 0.4, divided by 90.
    assert value(scores, "pose/azimuth/area") == pytest.approx((0.7 * 30 + 0.5 * 60) / 90)
    assert tuple(scores.columns) == COLUMNS
    assert (scores["n"] == 20).all()
    inside = scores.dropna()
    assert ((inside["low"] <= inside["value"] + 1e-12) & (inside["value"] <= inside["high"] + 1e-12)).all()


def test_the_interval_is_the_bootstrap_over_objects():
    rng = np.random.default_rng(0)
    entries = [rng.integers(0, 2, 3).tolist() for _ in range(30)]
    scores = from_predictions(predictions({CLEAN: entries}), classes=4, seed=7, resamples=500)
    expected = interval_over_objects(
        np.concatenate(entries), np.repeat(np.arange(30), 3), seed=7, resamples=500
    )
    assert tuple(row(scores, "clean/accuracy")[["value", "low", "high", "n"]]) == pytest.approx(expected)


def test_a_drop_is_paired_over_the_same_objects():
    # The shifted images show the ten objects that are all right when clean, and nine stay right.
    table = predictions({CLEAN: share(0.5), pose("azimuth", "90"): share(0.9, 10)})
    scores = from_predictions(table, classes=10)
    assert value(scores, "clean/accuracy") == pytest.approx(0.5)
    assert value(scores, "pose/azimuth/90/drop") == pytest.approx(0.1)
    assert row(scores, "pose/azimuth/90/drop")["n"] == 10
    # Objects with more shifted samples weigh more, on both sides.
    table = predictions({CLEAN: [1, 0], pose("azimuth", "90"): [[1, 1, 0], [0]]})
    scores = from_predictions(table, classes=2)
    assert value(scores, "pose/azimuth/90/drop") == pytest.approx((1 + 1 + 1 + 0) / 4 - 2 / 4)


def test_no_effect_gives_a_drop_of_exactly_zero():
    right = share(0.65)
    scores = from_predictions(predictions({CLEAN: right, pose("elevation", "90"): right}), classes=10)
    assert tuple(row(scores, "pose/drop")[["value", "low", "high"]]) == (0, 0, 0)


def test_shares_of_nothing_are_left_out():
    scores = from_predictions(
        predictions({CLEAN: share(0.25), pose("elevation", "90"): share(0.2)}), classes=4
    )
    assert "pose/elevation/90/drop" in set(scores["metric"])
    assert not scores["metric"].str.contains("relative_drop|retained").any()


def test_perfect_accuracy_does_not_claim_certainty():
    scores = from_predictions(predictions({CLEAN: [1] * 20}), classes=10)
    assert row(scores, "clean/accuracy")["low"] == pytest.approx(0.8389, abs=1e-4)  # Wilson, 20 of 20
    assert row(scores, "clean/accuracy")["high"] == 1


def test_clean_levels_are_no_drop():
    table = predictions(
        {
            CLEAN: share(0.8),
            ("net", "clutter", "background", "plain"): share(0.8),
            ("net", "clutter", "background", "room"): share(0.4),
            ("net", "clutter", "zoom", "1"): share(0.8),
            ("net", "clutter", "zoom", "3"): share(0.6),
        }
    )
    scores = from_predictions(table, classes=10, clean_levels={"clutter/zoom": "1"})
    assert value(scores, "clutter/background/drop") == pytest.approx(0.4)
    assert value(scores, "clutter/zoom/drop") == pytest.approx(0.2)
    assert value(scores, "clutter/zoom/area") == pytest.approx(0.7)
    assert "clutter/background/area" not in set(scores["metric"])  # words have no axis


def sphere(codes: dict[str, list[int]], labels: int = 0) -> pd.DataFrame:
    """Predicted classes of objects (label 0) by view."""
    rows = [
        ("net", "pose", "sphere", level, number, f"object{number}", labels, guess)
        for level, guesses in codes.items()
        for number, guess in enumerate(guesses)
    ]
    names = ["model", "shift", "factor", "level", "sample", "object", "label", "prediction"]
    return pd.DataFrame(rows, columns=names)


def test_the_view_sphere():
    table = sphere(
        {
            # object 0: always right; 1: wrong at (90, 0); 2: wrong from everywhere, as two classes
            "0,0": [0, 0, 1],
            "az90_el0": [0, 3, 2],
            "180,0": [0, 0, 1],
            "270,0": [0, 0, 2],
            "az0_el60": [0, 0, 1],
        }
    )
    scores = from_predictions(table, classes=4)
    assert value(scores, "pose/worst_view_accuracy") == pytest.approx(1 / 3)
    assert value(scores, "pose/all_views_accuracy") == pytest.approx(1 / 3)
    assert value(scores, "pose/worst_bin_accuracy") == pytest.approx(1 / 3)
    # Right shares 2/3, 1/3, 2/3, 2/3 at weight 1 and 2/3 at weight cos 60° = 1/2.
    assert view("az22.5_el-30") == (22.5, -30)
    expected = (2 / 3 + 1 / 3 + 2 / 3 + 2 / 3 + 2 / 3 * 0.5) / 4.5
    assert value(scores, "pose/sphere_accuracy") == pytest.approx(expected)
    assert value(scores, "pose/pose_space_wrong") == pytest.approx(1 - expected)
    # Neighbours: four on the ring (it closes) and one up. Flips: none; 2 of 5; 4 of 5.
    assert value(scores, "pose/flip_rate") == pytest.approx((0 + 2 + 4) / 15)
    assert "pose/drop" not in set(scores["metric"])


def test_an_open_arc_of_views_has_no_seam():
    scores = from_predictions(sphere({"-30,0": [0], "0,0": [0], "30,0": [1]}), classes=2)
    assert value(scores, "pose/flip_rate") == pytest.approx(1 / 2)


def test_several_images_a_view():
    table = sphere({"0,0": [0, 0], "90,0": [0, 1]})
    table = table.assign(object="object0")  # one object, two images in each view
    scores = from_predictions(table, classes=2)
    assert value(scores, "pose/worst_view_accuracy") == pytest.approx(0.5)
    assert value(scores, "pose/all_views_accuracy") == 0
    assert value(scores, "pose/flip_rate") == pytest.approx(0.5)


def test_background_swaps_and_n50():
    def clutter(factor: str, level: str) -> tuple[str, str, str, str]:
        return ("net", "clutter", factor, level)

    scores = from_predictions(
        predictions(
            {
                CLEAN: share(0.9),
                clutter("swap", "mixed_same"): share(0.8),
                clutter("swap", "mixed_rand"): share(0.65),
                clutter("swap", "only_bg_t"): share(0.2),
                clutter("swap", "only_bg_b"): share(0.3),
                clutter("distractors", "1"): share(0.8),
                clutter("distractors", "2"): share(0.6),
                clutter("distractors", "4"): share(0.4),
                clutter("distractors", "8"): share(0.2),
            }
        ),
        classes=10,
    )
    assert value(scores, "clutter/bg_gap") == pytest.approx(0.15)
    assert value(scores, "clutter/background_reliance") == pytest.approx(0.25)
    # Half of what lies above chance: 0.1 + 0.8 / 2 = 0.5, midway between 2 and 4 distractors.
    assert value(scores, "clutter/n50") == pytest.approx(3)
    # Swaps are no part of the drop of clutter.
    assert value(scores, "clutter/drop") == pytest.approx(0.9 - 0.5)


def test_n50_beyond_the_last_level_has_a_lower_bound_only():
    levels = {("net", "clutter", "distractors", str(n)): share(0.8 - 0.03 * n, 100) for n in (1, 4)}
    levels["net", "clutter", "distractors", "8"] = share(0.47, 100)
    n50 = row(from_predictions(predictions({CLEAN: share(0.8, 100), **levels}), classes=10), "clutter/n50")
    assert np.isnan(n50["value"])
    assert np.isnan(n50["high"])
    assert 4 < n50["low"] < 8


def test_accuracy_by_visible_fraction():
    occlusion = ("net", "clutter", "occlusion", "0.4")
    table = predictions({CLEAN: share(1, 4), occlusion: [1, 1, 1, 0]})
    image = ("net", "clutter", "patches", "2")  # made from a clean image, whose fraction is not its own
    table = pd.concat([table, predictions({image: [0] * 4})])
    samples = pd.DataFrame(
        {
            "sample": range(4),
            "shift": "clutter",
            "factor": "occlusion",
            "level": "0.4",
            "visible_fraction": [0.6, 0.61, 0.8, 0.1],
        }
    )
    scores = from_predictions(table, classes=4, samples=samples)
    assert value(scores, "clutter/visible_fraction/0.4-0.6/accuracy") == 1
    assert row(scores, "clutter/visible_fraction/0.6-0.8/accuracy")["n"] == 2
    assert value(scores, "clutter/visible_fraction/0-0.2/accuracy") == 0


def corrupted(model: str, clean: float, levels: dict[str, list[float]]) -> dict:
    table = {(model, "clean", "none", "0"): share(clean)}
    for name, rates in levels.items():
        for severity, right in enumerate(rates, start=1):
            table[model, "corruption", name, str(severity)] = share(right)
    return table


def test_corruption_errors():
    table = predictions(
        corrupted("alexnet", 0.8, {"fog": [0.6, 0.4], "contrast": [0.5, 0.5]})
        | corrupted("net", 0.9, {"fog": [0.8, 0.6], "contrast": [0.5, 0.5]})
    )
    scores = from_predictions(table, classes=10, normaliser="alexnet")
    assert value(scores, "corruption/fog/ce") == pytest.approx(0.6 / 1.0)
    assert value(scores, "corruption/contrast/ce") == pytest.approx(1)
    assert value(scores, "corruption/mce") == pytest.approx(0.8)
    assert tuple(row(scores, "corruption/mce", "alexnet")[["value", "low", "high"]]) == pytest.approx(
        (1, 1, 1)
    )
    # (0.3 − 0.1) / (0.5 − 0.2) and (0.5 − 0.1) / (0.5 − 0.2)
    assert value(scores, "corruption/relative_mce") == pytest.approx((2 / 3 + 4 / 3) / 2)
    assert "corruption/mce" not in set(from_predictions(table, classes=10)["metric"])
    published = from_predictions(table, classes=10, normaliser={"fog": 0.5, "contrast": 0.25})
    assert value(published, "corruption/mce") == pytest.approx((0.3 / 0.5 + 0.5 / 0.25) / 2)
    with pytest.raises(UserError, match="'contrast'"):
        from_predictions(table, classes=10, normaliser={"fog": 0.5})
    with pytest.raises(UserError, match="vgg16"):
        from_predictions(table, classes=10, normaliser="vgg16")


def test_corruptions_by_category() -> None:
    levels = {"gaussian_noise": [0.6, 0.4], "shot_noise": [0.9], "fog": [0.7], "speckle_noise": [0.1]}
    scores = from_predictions(predictions(corrupted("net", 0.8, levels)), classes=10)
    # Each corruption counts once, however many severities it has; speckle noise is of no category.
    assert value(scores, "corruption/category/noise/accuracy") == pytest.approx((0.5 + 0.9) / 2)
    assert value(scores, "corruption/category/noise/drop") == pytest.approx(0.8 - 0.7)
    assert value(scores, "corruption/category/weather/accuracy") == pytest.approx(0.7)
    assert value(scores, "corruption/accuracy") == pytest.approx((0.5 + 0.9 + 0.7 + 0.1) / 4)
    assert not scores["metric"].str.startswith("corruption/category/digital").any()
    noise = row(scores, "corruption/category/noise/accuracy")
    assert noise["low"] < noise["value"] < noise["high"]
    assert (noise["factor"], noise["level"], noise["n"]) == ("category", "noise", 20)


def test_categories_hold_the_corruptions_of_imagenet_c_once() -> None:
    members = [name for names in corruption.CATEGORIES.values() for name in names]
    assert sorted(members) == sorted(corruption.ALEXNET_IMAGENET_C)


def test_order_and_company_do_not_matter():
    rng = np.random.default_rng(1)
    ours = {("net", "clean", "none", "0"): rng.integers(0, 2, 40).tolist()}
    other = {("other", "clean", "none", "0"): rng.integers(0, 2, 40).tolist()}
    alone = from_predictions(predictions(ours), classes=4)
    together = predictions(ours | other).sample(frac=1, random_state=3)
    mixed = from_predictions(together, classes=4)
    pd.testing.assert_frame_equal(mixed[mixed["model"] == "net"].reset_index(drop=True), alone)


def test_mistakes_are_named():
    table = predictions({CLEAN: share(0.5)})
    with pytest.raises(UserError, match="'factor'"):
        from_predictions(table.drop(columns="factor"), classes=4)
    with pytest.raises(UserError, match="classes: 1"):
        from_predictions(table, classes=1)
    with pytest.raises(UserError, match="'front'"):
        from_predictions(sphere({"front": [0]}), classes=4)


def test_kappa_known_answers():
    assert kappa(1.0, 0.7, 0.7) == pytest.approx(1.0)
    assert kappa(0.58, 0.7, 0.7) == pytest.approx(0.0)
    assert np.isnan(kappa(1.0, 1.0, 1.0))
    # 80 % right each, disjoint errors: c_obs 0.6, c_exp 0.68.
    right = {"a": [0] * 20 + [1] * 80, "b": [1] * 20 + [0] * 20 + [1] * 60}
    table = predictions({(name, "clean", "none", "0"): each for name, each in right.items()})
    (found,) = error_consistencies(table, resamples=200).itertuples()
    assert found.kappa == pytest.approx((0.6 - 0.68) / 0.32)
    assert (found.observed, found.expected) == pytest.approx((0.6, 0.68))
    assert found.high < 0


def test_error_consistencies_are_those_of_every_pair_and_shift():
    rng = np.random.default_rng(2)
    table = predictions(
        {
            (model, shift, "x", "0"): [rng.integers(0, 2, 3).tolist() for _ in range(25)]
            for model in ("a", "b", "c")
            for shift in ("clean", "clutter")
        }
    )
    result = error_consistencies(table, seed=3, resamples=200)
    assert len(result) == 6
    right = (table["prediction"] == table["label"]).to_numpy()
    a, c = (right[(table["shift"] == "clutter") & (table["model"] == name)] for name in "ac")
    (found,) = result[
        (result["shift"] == "clutter") & (result["model_a"] == "a") & (result["model_b"] == "c")
    ].itertuples()
    assert found.observed == pytest.approx((a == c).mean())
    assert found.kappa == pytest.approx(float(kappa((a == c).mean(), a.mean(), c.mean())))
    # The draws by hand: objects of three samples each, drawn with replacement.
    weights = np.repeat(resampling_weights(25, resamples=200, seed=3), 3, axis=1)
    shares = [weights @ x / weights.sum(axis=1) for x in (a == c, a, c)]
    assert (found.low, found.high) == pytest.approx(percentiles(kappa(*shares)))
    assert found.n == 25
    with pytest.raises(UserError, match="'pose'"):
        error_consistencies(table, shifts=["pose"])


def test_the_worst_random_view_is_each_objects_own():
    table = predictions({
        CLEAN: [1, 1, 1, 1],
        ("net", "pose", "random", "draw00"): [1, 0, 1, 1],
        ("net", "pose", "random", "draw01"): [1, 1, 0, 1],
    })  # fmt: skip
    scores = from_predictions(table, classes=4)
    assert value(scores, "pose/worst_random_accuracy") == pytest.approx(0.5)
    assert set(scores["metric"]) == {
        "clean/accuracy",
        "clean/balanced_accuracy",
        "pose/worst_random_accuracy",
    }
