"""Two models compared on the same samples."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from score_tables import predictions

from robustness.errors import UserError
from robustness.scores import Key, compare, describe, from_predictions, set_apart
from robustness.scores.comparison import verdict
from robustness.scores.twins import twins
from robustness.statistics.bootstrap import interval_over_objects


def two_models(seed: int = 0, gain: float = 0.25) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    hard = rng.random(70)
    entries = {}
    for model, extra in (("gabor", gain), ("learned", 0.0)):
        for shift, factor, level in (
            ("clean", "none", "0"),
            ("plane", "roll", "90"),
            ("plane", "roll", "180"),
        ):
            bonus = extra if shift == "plane" else 0.0
            entries[model, shift, factor, level] = (rng.random(70) < hard * 0.6 + bonus).astype(int).tolist()
    return predictions(entries)


def test_differences_and_verdicts():
    table = two_models()
    result = compare(table, "gabor", "learned", classes=10).set_index("metric")
    scores = from_predictions(table, classes=10).pivot(index="metric", columns="model", values="value")
    for metric in ("clean/accuracy", "plane/roll/90/accuracy", "plane/drop", "plane/roll/area"):
        expected = scores.loc[metric, "gabor"] - scores.loc[metric, "learned"]
        assert result.loc[metric, "difference"] == pytest.approx(expected)
    assert result.loc["clean/accuracy", "verdict"] == "undecided"
    assert result.loc["plane/accuracy", "verdict"] == "higher"
    assert result.loc["plane/accuracy", "p"] < 0.01
    assert (result["p_holm"].dropna() >= result["p"].dropna()).all()
    other = compare(table, "learned", "gabor", classes=10).set_index("metric")
    assert other.loc["plane/accuracy", "verdict"] == "lower"
    assert np.isnan(result.loc["plane/roll/worst_accuracy", "p"])


def test_agrees_with_scipy_on_the_difference_of_one_condition():
    """One sample per object: the interval is that of the mean paired difference, the p that of sign flips."""
    table = two_models(seed=4, gain=0.1)
    result = compare(table, "gabor", "learned", metrics="clean/accuracy", classes=10, seed=6).iloc[0]
    right = (table["prediction"] == table["label"]).astype(float)[table["shift"] == "clean"]
    differences = right[table["model"] == "gabor"].to_numpy() - right[table["model"] == "learned"].to_numpy()
    plain = interval_over_objects(differences, np.arange(70), seed=6)
    assert (result["difference"], result["low"], result["high"]) == pytest.approx(plain[:3])
    flips = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=5000, rng=1
    )
    assert result["p"] == pytest.approx(flips.pvalue, abs=0.05)


def test_pairing_finds_a_difference_that_separate_intervals_do_not():
    rng = np.random.default_rng(4)
    hard, draw = np.repeat(rng.random(80), 5), rng.random(400)  # the samples of an object are alike
    right = {"a": draw < hard, "b": draw < hard - 0.06}
    table = predictions(
        {(name, "clean", "none", "0"): each.reshape(80, 5).tolist() for name, each in right.items()}
    )
    result = compare(table, "a", "b", classes=4, metrics="clean/accuracy").iloc[0]
    assert result["verdict"] == "higher"
    assert result["p"] < 0.01
    low, high = (interval_over_objects(right[name], np.repeat(np.arange(80), 5)) for name in "ab")
    assert low.low < high.high


def test_equal_models_are_undecided():
    same = [i % 2 for i in range(40)]
    table = predictions({(name, "clean", "none", "0"): same for name in "ab"})
    result = compare(table, "a", "b", classes=4, metrics="clean/accuracy").iloc[0]
    assert result[["difference", "low", "high", "p", "verdict"]].tolist() == [0.0, 0.0, 0.0, 1.0, "undecided"]


def test_verdict():
    assert verdict(0.01, 0.2) == "higher"
    assert verdict(-0.2, -0.01) == "lower"
    assert verdict(-0.1, 0.1) == verdict(0.0, 0.1) == verdict(np.nan, np.nan) == "undecided"


def test_only_common_samples_count():
    table = predictions(
        {("a", "clean", "none", "0"): [1, 1, 0, 0], ("b", "clean", "none", "0"): [1, 0, 0, 0, 1, 1, 1, 1]}
    )
    result = compare(table, "a", "b", classes=4, metrics="clean/accuracy").iloc[0]
    assert (result["a"], result["b"], result["n"]) == (0.5, 0.25, 4)


def test_attacks_are_compared_too():
    rng = np.random.default_rng(2)
    parts = []
    for model, rate in (("vone", 0.7), ("learned", 0.3)):
        for budget in (2, 4):
            parts.append(
                pd.DataFrame(
                    {
                        "model": model,
                        "variant": "worst",
                        "norm": "linf",
                        "epsilon": budget / 255,
                        "sample": np.arange(60),
                        "object": np.arange(60) // 2,
                        "label": 0,
                        "clean_right": 1.0,
                        "right": (right := rng.random(60) < rate).astype(float),
                        "robust": right,
                        "distance": budget / 255,
                        "noise": "none",
                    }
                )
            )
    result = compare(pd.concat(parts), "vone", "learned", metrics="attack/worst_*").set_index("metric")
    best = result.loc["attack/worst_linf/eps_4/robust_accuracy"]
    assert best["verdict"] == "higher"
    assert best["p"] < 0.01
    assert best["n"] == 30
    assert result.loc["attack/worst_linf/area", "verdict"] == "higher"


def test_false_alarms_are_rare():
    """Equal models: over many tables and two metrics about one verdict in twenty is wrong."""
    wrong, rejected, total = 0, 0, 0
    for seed in range(60):
        result = compare(
            two_models(seed, gain=0.0),
            "gabor",
            "learned",
            classes=10,
            metrics=["clean/accuracy", "plane/drop"],
            resamples=200,
            seed=seed,
        )
        wrong += (result["verdict"] != "undecided").sum()
        rejected += (result["p"] <= 0.05).sum()
        total += len(result)
    assert wrong / total <= 0.12
    assert rejected / total <= 0.12


def test_mistakes_are_named():
    table = two_models()
    with pytest.raises(UserError, match="did you mean gabor"):
        compare(table, "gabo", "learned", classes=10)
    with pytest.raises(UserError, match="classes is missing"):
        compare(table, "gabor", "learned")
    with pytest.raises(UserError, match="'corruption/mce'"):
        compare(table, "gabor", "learned", classes=10, metrics="corruption/mce")
    apart = table[(table["model"] == "gabor") | (table["sample"] < 0)]
    with pytest.raises(UserError, match="'learned'"):
        compare(apart, "gabor", "learned", classes=10)
    with pytest.raises(UserError, match="twice"):
        compare(pd.concat([table, table]), "gabor", "learned", classes=10)


@pytest.mark.parametrize(
    ("key", "title", "unit", "better"),
    [
        (Key("clean", "", "", "accuracy"), "accuracy on clean images", "fraction", "higher"),
        (
            Key("pose", "azimuth", "90", "accuracy"),
            "accuracy under pose azimuth 90",
            "fraction",
            "higher",
        ),
        (Key("pose", "", "", "drop"), "accuracy lost to 3-D pose", "points", "lower"),
        (
            Key("corruption", "category", "noise", "accuracy"),
            "mean accuracy under noise corruptions",
            "fraction",
            "higher",
        ),
        (
            Key("corruption", "category", "blur", "drop"),
            "accuracy lost to blur corruptions",
            "points",
            "lower",
        ),
        (Key("corruption", "", "", "mce"), "mean corruption error, our AlexNet = 1", "ratio", "lower"),
        (
            Key("attack", "worst_linf", "4", "robust_accuracy"),
            "robust accuracy (L∞, ε = 4/255)",
            "fraction",
            "higher",
        ),
        (
            Key("attack", "worst_l2", "0.5", "majority_accuracy"),
            "robust accuracy of the vote (L2, ε = 0.5)",
            "fraction",
            "higher",
        ),
        (
            Key("attack", "worst_l2", "", "median_distance"),
            "median minimal distance (L2)",
            "image units (L2)",
            "higher",
        ),
        (Key("probe", "filters", "stem", "gabor_r2"), "gabor r2 (filters of stem)", "", "neither"),
        (Key("something", "", "", "else"), "something/else", "", "neither"),
    ],
)
def test_labels(key, title, unit, better):
    assert describe(key) == (title, unit, better)


def test_a_key_says_its_metric_and_fills_its_columns():
    table = two_models()
    scores = from_predictions(table, classes=10)
    for row in scores.itertuples():
        assert str(Key(row.shift, row.factor, row.level, row.statistic)) == row.metric
    areas = scores[(scores["statistic"] == "area") & (scores["model"] == "gabor")]
    assert areas[["shift", "factor", "level"]].to_numpy().tolist() == [["plane", "roll", ""]]
    assert (
        str(Key("attack", "worst_linf", "4", "robust_accuracy")) == "attack/worst_linf/eps_4/robust_accuracy"
    )


def test_weights_from_elsewhere_are_no_twins_of_what_was_trained_here():
    models = pd.DataFrame({"model": ["a", "av", "w", "wv"], "architecture": "alexnet", "width": 1.0,
                           "seed": 1, "frontend": ["learned", "vone"] * 2, "training": "canonical",
                           "images": [50, 50, 0, 0]})  # fmt: skip
    assert list(set_apart(models)["training"]) == ["canonical", "canonical", "elsewhere", "elsewhere"]
    assert ("frontend", "av", "w") not in twins(set_apart(models))
    assert ("frontend", "wv", "w") in twins(set_apart(models))
    alone = models[models["images"] == 0]
    assert set(set_apart(alone)["training"]) == {"canonical"}
