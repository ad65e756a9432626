"""Scores of probes, and the association of probes with robustness."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from score_tables import row, value

from robustness.errors import UserError
from robustness.scores import association, from_probes
from robustness.scores.association import _resampled_ranks, standard_ranks
from robustness.statistics.bootstrap import interval_over_objects


def probes(values: dict[str, list], model: str = "net") -> pd.DataFrame:
    rows = [
        (model, "stem", 0.1, "filters", unit, metric, number)
        for metric, entries in values.items()
        for unit, number in (enumerate(entries) if isinstance(entries, list) else [("all", entries)])
    ]
    return pd.DataFrame(rows, columns=["model", "layer", "depth", "probe", "unit", "metric", "value"])


def test_means_over_units():
    table = probes({"gabor_r2": [0.1, 0.5, 0.9, np.nan], "osi": [0.2, 0.4, 0.3], "dead": 0.25})
    summary = probes({"gabor_r2": 9.0})  # the layer's own row does not count beside its units
    scores = from_probes(pd.concat([table, summary]), seed=2)
    r2 = row(scores, "probe/filters/stem/gabor_r2")
    assert r2["value"] == pytest.approx(0.5)
    assert r2["n"] == 3
    expected = interval_over_objects([0.1, 0.5, 0.9], np.arange(3), seed=2)
    assert (r2["low"], r2["high"]) == pytest.approx(expected[1:3])
    assert value(scores, "probe/filters/stem/osi") == pytest.approx(0.3)
    dead = row(scores, "probe/filters/stem/dead")
    assert dead["value"] == 0.25
    assert np.isnan([dead["low"], dead["high"]]).all()
    assert dead["n"] == 1


def test_rows_of_one_unit_are_averaged_first():
    table = probes({"m": [1.0, 0.0]})
    scores = from_probes(pd.concat([table, table.iloc[:1].assign(value=0.0)]))
    assert value(scores, "probe/filters/stem/m") == pytest.approx(0.25)


def scores_of(columns: dict[str, np.ndarray]) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "model": [f"m{i:02d}" for i in range(len(values))],
                "metric": metric,
                "value": values,
                "low": values,
                "high": values,
                "n": 9,
            }
        ).dropna(subset=["value"])
        for metric, values in columns.items()
    ]
    return pd.concat(parts, ignore_index=True)


def test_association_finds_what_is_there_and_not_more():
    rng = np.random.default_rng(0)
    drop = rng.random(26)
    columns = {"pose/drop": drop, "clutter/drop": rng.random(26), "clean/accuracy": rng.random(26)}
    columns |= {f"probe/noise/stem/m{i}": rng.random(26) for i in range(40)}
    columns["probe/filters/stem/strong"] = drop + 0.1 * rng.random(26)
    result = association(
        scores_of(columns), robustness_metrics=["pose/drop", "clutter/drop"], permutations=999
    )
    assert len(result) == 82
    best = result.iloc[0]
    assert (best["probe_metric"], best["robustness_metric"]) == (
        "probe/filters/stem/strong",
        "pose/drop",
    )
    assert best["verdict"] == "related"
    assert best["p_family"] == pytest.approx(0.001)
    assert (result["verdict"].iloc[1:] != "related").all()
    assert (result["p_family"] >= result["p"] - 1e-12).all()
    strong = columns["probe/filters/stem/strong"]
    assert best["plain"] == pytest.approx(stats.spearmanr(strong, drop).statistic)
    plain = stats.bootstrap(
        (strong, drop),
        lambda x, y: stats.spearmanr(x, y).statistic,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=1000,
        rng=1,
    ).confidence_interval
    assert (best["low"], best["high"]) == pytest.approx((plain.low, plain.high), abs=0.08)


@pytest.mark.parametrize(("units", "probes"), [(7, 150), (14, 20)])  # of seven, some have the same order
def test_association_of_numbers_that_follow_accuracy_alone_rarely_claims_anything(units: int, probes: int):
    rng = np.random.default_rng(5)
    alarms = 0
    for trial in range(40):
        clean = rng.random(units)
        columns = {"clean/accuracy": clean, "pose/drop": clean + rng.random(units)}
        columns |= {f"probe/noise/stem/m{i}": i % 2 * clean + rng.random(units) for i in range(probes)}
        result = association(
            scores_of(columns),
            robustness_metrics="pose/drop",
            permutations=199,
            resamples=100,
            seed=trial,
        )
        alarms += (result["p_family"] <= 0.05).any()
    assert alarms <= 5


def test_partial_correlation_removes_the_common_cause():
    rng = np.random.default_rng(3)
    clean = np.arange(30.0)
    scores = scores_of(
        {
            "clean/accuracy": clean,
            "pose/drop": clean + 3 * rng.standard_normal(30),
            "probe/embedding/late/purity": clean + 3 * rng.standard_normal(30),
        }
    )
    result = association(scores, robustness_metrics="pose/drop", permutations=199)
    assert result["plain"][0] > 0.8
    assert abs(result["rho"][0]) < 0.4
    assert result["verdict"][0] == "undecided"
    ranks = pd.DataFrame({name: part["value"].to_numpy() for name, part in scores.groupby("metric")}).rank()
    x, y, z = (ranks[name] for name in ("probe/embedding/late/purity", "pose/drop", "clean/accuracy"))
    left = [column - np.polyval(np.polyfit(z, column, 1), z) for column in (x, y)]
    assert result["rho"][0] == pytest.approx(np.corrcoef(*left)[0, 1])


def test_gaps_and_mistakes():
    rng = np.random.default_rng(1)
    gappy = rng.random(12)
    gappy[:3] = np.nan
    scores = scores_of(
        {
            "clean/accuracy": rng.random(12),
            "pose/drop": rng.random(12),
            "probe/a/stem/full": rng.random(12),
            "probe/a/stem/gaps": gappy,
            "probe/a/stem/few": np.where(np.arange(12) < 4, gappy + 1, np.nan),
            "probe/a/stem/same": np.ones(12),
        }
    )
    result = association(scores, robustness_metrics="pose/drop", permutations=99).set_index("probe_metric")
    assert result.loc["probe/a/stem/gaps", "n"] == 9
    assert np.isfinite(result.loc["probe/a/stem/gaps", "rho"])
    assert np.isnan(result.loc["probe/a/stem/few", "rho"])
    assert np.isnan(result.loc["probe/a/stem/same", "rho"])
    assert result.loc["probe/a/stem/same", "verdict"] == "undecided"
    with pytest.raises(UserError, match="attack/worst"):
        association(scores, robustness_metrics="attack/worst_*")


def test_pairs_of_few_models_do_not_drown_a_strong_one_of_many():
    """Twenty probes that five models have reach |ρ| = 1 by chance; one of forty models is really related."""
    generator = np.random.default_rng(5)
    robust = generator.normal(size=40)
    columns = {"pose/drop": robust, "probe/x/strong": robust + 0.7 * generator.normal(size=40)}
    for number in range(20):
        few = np.full(40, np.nan)
        few[:5] = generator.normal(size=5)
        columns[f"probe/x/few_{number}"] = few
    columns["clean/accuracy"] = generator.normal(size=40)
    scores = pd.DataFrame(
        [
            (f"m{model}", metric, values[model], np.nan, np.nan, 1)
            for metric, values in columns.items()
            for model in range(40)
            if not np.isnan(values[model])
        ],
        columns=["model", "metric", "value", "low", "high", "n"],
    )
    found = association(scores, robustness_metrics="pose/drop", permutations=999)
    assert found.iloc[0]["probe_metric"] == "probe/x/strong", "the strongest is not the one of few models"
    assert found.iloc[0]["verdict"] == "related"
    assert (found.iloc[1:]["verdict"] != "related").all()


def test_ranks_of_a_resample_are_those_of_its_points():
    generator = np.random.default_rng(2)
    values = generator.integers(0, 4, size=(3, 9)).astype(float)
    drawn = generator.integers(0, 9, size=(20, 9))
    times = np.stack([np.bincount(draw, minlength=9) for draw in drawn]).astype(float)
    ranks = _resampled_ranks(values, times)
    for resample, points in enumerate(drawn):
        np.testing.assert_allclose(ranks[resample][:, points], standard_ranks(values[:, points]), atol=1e-12)
