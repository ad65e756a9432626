"""Effects over architectures, seeds and objects: what was planted is found, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from score_tables import predictions

from robustness.scores import effects, from_predictions

ARCHITECTURES = [f"net{i}" for i in range(8)]
OBJECTS = 80
AXES = {"frontend": ("learned", "vone", "canonical"), "training": ("canonical", "adversarial", "learned")}
"""Axis → the value that is the base, the other one, and what the other axis is held at: questions 4 and 7."""


def run(
    gain: float, *, axis: str = "frontend", architectures: int = 8, seeds: int = 1, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Predictions, attacks and models of nets and their twins on an axis, which are right more often by
    ``gain`` under a change of pose; each object is as hard for all."""
    base, other, held = AXES[axis]
    generator = np.random.default_rng(seed)
    easy = np.clip(generator.normal(0.6, 0.25, OBJECTS), 0, 1)
    entries, models = {}, []
    for architecture in ARCHITECTURES[:architectures]:
        level = generator.normal(0, 0.05)
        for replicate in range(seeds):
            for value in (base, other):
                name = f"{architecture}_{value}_{replicate}"
                both = (value, held) if axis == "frontend" else (held, value)
                models.append((name, architecture, *both, 1.0, replicate))
                for condition, more in ((("clean", "none", "0"), 0.0), (("pose", "azimuth", "90"), gain)):
                    share = easy + level + (more if value == other else 0.0)
                    entries[name, *condition] = (generator.random(OBJECTS) < share).astype(int).tolist()
    columns = ["model", "architecture", "frontend", "training", "width", "seed"]
    return predictions(entries), attacked([row[0] for row in models]), pd.DataFrame(models, columns=columns)


def attacked(names: list[str]) -> pd.DataFrame:
    """The same attacks on all models: no effect whatever."""
    rows = [
        (name, "worst", "linf", e / 255, i, f"object{i:03d}", 1.0, float(i % e == 0), "none", 0.01)
        for name in names
        for e in (1, 2)
        for i in range(OBJECTS)
    ]
    columns = ["model", "variant", "norm", "epsilon", "sample", "object", "clean_right", "right", "noise",
               "distance"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(robust=table["right"] > 0.5)


def on_axis(axis: str, *tables: pd.DataFrame) -> pd.DataFrame:
    """The effects of an axis, by metric."""
    found = effects(*tables, classes=4, resamples=200)
    return found[(found["axis"] == axis) & (found["b"] == AXES[axis][0])].set_index("metric")


@pytest.mark.parametrize("axis", AXES)
def test_a_planted_effect_is_found_in_its_size_and_nothing_else(axis: str) -> None:
    found = on_axis(axis, *run(0.2, axis=axis))
    pose = found.loc["pose/accuracy"]
    assert pose["verdict"] == "higher"
    assert pose["low"] < 0.17 < pose["high"]  # not 0.2: some shares end at 1
    assert (pose["architectures"], pose["seeds"], pose["objects"]) == (8, 1, OBJECTS)
    assert (pose["b"], pose["a"], pose["held"]) == AXES[axis]
    assert found.loc["attack/worst_linf/eps_2/robust_accuracy", "value"] == 0
    assert found.loc["attack/worst_linf/eps_2/robust_accuracy", "verdict"] == "equivalent"


@pytest.mark.parametrize("axis", AXES)
def test_without_an_effect_alarms_are_rare(axis: str) -> None:
    runs = [run(0.0, axis=axis, seed=seed) for seed in range(40)]
    verdicts = [on_axis(axis, *each).loc["pose/accuracy", "verdict"] for each in runs]
    assert sum(verdict in ("higher", "lower") for verdict in verdicts) <= 5


def test_seeds_are_averaged_within_architectures_and_are_the_units_of_a_single_one() -> None:
    several = on_axis("frontend", *run(0.2, architectures=3, seeds=2)).loc["pose/accuracy"]
    assert (several["architectures"], several["seeds"]) == (3, 2)
    table, attacks, models = run(0.2, architectures=1, seeds=3)
    one = on_axis("frontend", table, attacks, models).loc["pose/accuracy"]
    assert (one["architectures"], one["seeds"]) == (1, 3)
    accuracy = from_predictions(table, classes=4, resamples=100).set_index(["model", "metric"])["value"]
    gains = [
        accuracy[f"net0_vone_{i}", "pose/accuracy"] - accuracy[f"net0_learned_{i}", "pose/accuracy"]
        for i in range(3)
    ]
    assert one["value"] == pytest.approx(np.mean(gains))
    assert one["high"] - one["low"] > 2 * 1.96 * np.std(gains, ddof=1) / np.sqrt(3)


def test_means_of_a_front_end_stand_beside() -> None:
    table, attacks, models = run(0.2)
    found = effects(table, attacks, models, classes=4, resamples=200)
    mean = found[(found["axis"] == "mean") & (found["a"] == "vone") & (found["metric"] == "clean/accuracy")]
    accuracy = from_predictions(table, classes=4, resamples=100).set_index(["model", "metric"])["value"]
    each = [accuracy[f"{name}_vone_0", "clean/accuracy"] for name in ARCHITECTURES]
    assert mean["value"].tolist() == pytest.approx([np.mean(each)])
    assert mean["b"].tolist() == [""]
    few = effects(*run(0.2, architectures=2), classes=4, resamples=200)
    means = few[(few["axis"] == "mean") & few["metric"].str.endswith("accuracy")]
    assert means["low"].min() >= 0  # with two architectures Student's interval reaches beyond
    assert means["high"].max() == 1


def test_a_model_that_did_not_learn_is_left_out_with_its_twin() -> None:
    table, attacks, models = run(0.2)
    lost = table["model"] == "net0_vone_0"
    wrong = (table["label"] + 1) % 4
    table = table.assign(prediction=np.where(lost, wrong, table["prediction"]))
    found = effects(table, attacks, models, classes=4, resamples=200)
    counts = found[found["metric"] == "clean/accuracy"].set_index(["axis", "a"])["architectures"]
    assert counts.to_dict() == {("mean", "learned"): 8, ("mean", "vone"): 7, ("frontend", "vone"): 7}
