"""Scores of the table ``probes``: ``probe/<probe>/<layer>/<metric>``, the mean over units with its interval.

A probe that gives rows by unit (filter, image, start, seed) gets the mean over units with a bootstrap over
units; rows of one unit are averaged first. Rows of the unit ``all`` summarise a layer: they count only where
there are no rows by unit, and then have no interval. Values that are not finite do not count; ``n`` is the
number of units left.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from robustness.scores.conditions import Key
from robustness.scores.table import COLUMNS, empty, require
from robustness.statistics.bootstrap import RESAMPLES, percentiles, resampling_weights

REQUIRED = ("model", "layer", "probe", "unit", "metric", "value")
ALL_UNITS = "all"
_CELLS = 20_000_000  # of one matrix product: 160 MB


def from_probes(probes: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """The scores (model, metric, value, low, high, n) of the table ``probes``."""
    require(probes, REQUIRED, "probes")
    finite = probes[np.isfinite(probes["value"].astype(float))]
    if finite.empty:
        return empty()
    unit = finite["unit"].astype(str)
    table = pd.DataFrame(
        {
            "model": finite["model"].astype(str),
            "metric": "",
            "shift": "probe",
            "factor": finite["probe"].astype(str),
            "level": finite["layer"].astype(str),
            "statistic": finite["metric"].astype(str),
            "unit": unit,
            "value": finite["value"].astype(float),
            "summary": unit == ALL_UNITS,
        }
    )
    keys = list(Key._fields)
    table["metric"] = "probe/" + table["factor"] + "/" + table["level"] + "/" + table["statistic"]
    named = table.drop_duplicates("metric").set_index("metric")[keys]
    by_unit = ~table.groupby(["model", "metric"], sort=False)["summary"].transform("all")
    table = table[~(by_unit & table["summary"])]
    units = table.groupby(["model", "metric", "unit"], sort=True)["value"].mean().reset_index()
    scores = units.groupby(["model", "metric"], sort=True)["value"].agg(["mean", "size"]).reset_index()
    scores.columns = ["model", "metric", "value", "n"]
    scores["low"] = scores["high"] = np.nan
    # Units are sorted by score, so that each score's values are one run.
    starts = np.r_[0, np.cumsum(scores["n"].to_numpy())[:-1]]
    values = units["value"].to_numpy()
    for count in np.unique(scores["n"]):
        if count < 2:
            continue
        where = np.flatnonzero(scores["n"] == count)
        weights = resampling_weights(int(count), resamples=resamples, seed=seed) / count
        step = max(1, _CELLS // resamples)
        for part in np.split(where, range(step, len(where), step)):
            block = values[starts[part][:, None] + np.arange(count)]
            low, high = percentiles(weights @ block.T)
            scores.loc[part, "low"], scores.loc[part, "high"] = low, high
    return scores.join(named, on="metric")[list(COLUMNS)]
