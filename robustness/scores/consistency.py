"""Error consistency between every two models: do they fail on the same images?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from robustness.errors import UserError
from robustness.scores.cluster_sums import draw_weights
from robustness.scores.table import require
from robustness.statistics.bootstrap import RESAMPLES, percentiles

COLUMNS = ("model_a", "model_b", "shift", "kappa", "low", "high", "observed", "expected", "n")


def kappa(observed: np.ndarray | float, first: np.ndarray | float, second: np.ndarray | float) -> np.ndarray:
    """κ = (c_obs − c_exp) / (1 − c_exp), c_exp = p1·p2 + (1 − p1)(1 − p2); broadcasts.

    ``observed`` is the share of samples on which both are right or both wrong; ``first`` and ``second`` are
    the accuracies. Where both are always right or both always wrong c_exp is 1 and κ is NaN.
    """
    observed, first, second = np.broadcast_arrays(observed, first, second)
    expected = first * second + (1 - first) * (1 - second)
    room = 1 - expected
    defined = room > 1e-12
    return np.where(defined, (observed - expected) / np.where(defined, room, 1.0), np.nan)


def error_consistencies(
    predictions: pd.DataFrame,
    *,
    shifts: Sequence[str] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """κ of Geirhos et al. (2020) for every pair of models and every shift, with intervals over objects.

    Only the (condition, sample) pairs that all models of the table have count. ``shifts``: those wanted,
    ``clean`` among them (default: all). κ is missing where both models are always right or always wrong.
    """
    require(
        predictions,
        ("model", "shift", "factor", "level", "sample", "object", "label", "prediction"),
        "predictions",
    )
    known = sorted(predictions["shift"].astype(str).unique())
    wanted = known if shifts is None else list(shifts)
    for shift in wanted:
        if shift not in known:
            raise UserError(f"shift {shift!r}: the table predictions has none; has {', '.join(known)}")
    parts = [_of_shift(predictions, shift, seed, resamples) for shift in wanted]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def _of_shift(predictions: pd.DataFrame, shift: str, seed: int, resamples: int) -> pd.DataFrame:
    part = predictions[predictions["shift"] == shift]
    part = part.assign(correct=part["prediction"] == part["label"])
    table = part.pivot_table(
        index=["factor", "level", "sample", "object"], columns="model", values="correct", observed=True
    ).dropna()
    models = [str(model) for model in table.columns]
    if len(models) < 2 or not len(table):
        return pd.DataFrame(columns=list(COLUMNS))
    correct = table.to_numpy(dtype=np.float64)
    codes, names = pd.factorize(table.index.get_level_values("object"), sort=True)
    first, second = np.triu_indices(len(models), k=1)
    weights = draw_weights(len(names), resamples=resamples, seed=seed)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(names)))
    correct = correct[order]
    right = np.add.reduceat(correct, starts, axis=0)
    counts = np.bincount(codes, minlength=len(names)).astype(np.float64)
    # Both right or both wrong: 1 − a − b + 2ab, so one matrix of "both right" an object serves all pairs.
    both = np.stack([(rows.T @ rows)[first, second] for rows in np.split(correct, starts[1:])])
    total = (weights @ counts)[:, None]
    share, together = (weights @ right) / total, (weights @ both) / total
    p, q = share[:, first], share[:, second]
    observed = 1 - p - q + 2 * together
    draws = kappa(observed, p, q)
    low = high = np.full(len(first), np.nan)
    if len(draws) > 1:
        low, high = percentiles(draws[1:])
    return pd.DataFrame(
        {
            "model_a": [models[i] for i in first],
            "model_b": [models[i] for i in second],
            "shift": shift,
            "kappa": draws[0],
            "low": low,
            "high": high,
            "observed": observed[0],
            "expected": p[0] * q[0] + (1 - p[0]) * (1 - q[0]),
            "n": len(names),
        }
    )
