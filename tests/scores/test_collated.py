"""The small tables made of all scores: what stands in them, in which order, and how much."""

import numpy as np
import pandas as pd
from score_tables import predictions, row, share

from robustness import scores
from robustness.scores import Key


def table() -> pd.DataFrame:
    """Scores of two models: of predictions under three shifts and of attacks at three ε, 10 among them."""
    right = {"b": (0.9, 0.7, 0.5), "a": (0.8, 0.4, 0.6)}
    conditions = (("clean", "none", "0"), ("pose", "azimuth", "90"), ("clutter", "distractors", "2"))
    found = predictions(
        {(m, *c): share(r) for m, rates in right.items() for c, r in zip(conditions, rates, strict=True)}
    )
    attacks = pd.DataFrame(
        [
            (
                m,
                "worst",
                "linf",
                epsilon / 255,
                i,
                f"object{i:03d}",
                1.0,
                float(i < 20 - epsilon),
                i < 20 - epsilon,
                np.nan,
                "none",
            )
            for m in right
            for epsilon in (2, 10, 4)
            for i in range(20)
        ],
        columns=[
            "model",
            "variant",
            "norm",
            "epsilon",
            "sample",
            "object",
            "clean_right",
            "right",
            "robust",
            "distance",
            "noise",
        ],
    )
    parts = [scores.from_predictions(found, classes=4), scores.from_attacks(attacks)]
    joined = pd.concat(parts, ignore_index=True)
    return joined.sort_values("model", ascending=False, kind="stable")


def test_summary_has_one_row_per_model_in_their_order_and_the_budgets_by_size() -> None:
    found = scores.summary(table())
    assert list(found.index) == ["b", "a"]
    budgets = [f"attack/worst_linf/eps_{epsilon}/robust_accuracy" for epsilon in (0, 2, 4, 10)]
    measures = ["clean/accuracy", "pose/drop", "clutter/drop", "corruption/drop"]
    assert list(found.columns) == [*measures, *budgets]
    assert found["corruption/drop"].isna().all()  # not measured
    assert found.loc["a", budgets].tolist() == [1.0, 0.9, 0.8, 0.5]


def test_headlines_are_few_and_equal_to_the_scores() -> None:
    every = table()
    found = scores.headlines(every)
    assert list(found) == ["b", "a"]
    for model, metrics in found.items():
        assert {"clean/accuracy", "pose/drop", "attack/worst_linf/eps_4/robust_accuracy"} <= set(metrics)
        assert len(metrics) <= 13 < len(every[every["model"] == model])
        for metric, value in metrics.items():
            assert value == round(row(every, metric, model)["value"], 6)


def test_columns_select_what_names_say() -> None:
    every = table()
    levels = every[(every["factor"] == "azimuth") & (every["statistic"] == "accuracy")]
    assert set(levels["metric"]) == {"pose/azimuth/90/accuracy"}
    for each in every.itertuples():
        assert str(Key(each.shift, each.factor, each.level, each.statistic)) == each.metric
