"""Small tables for the tests of scores."""

import numpy as np
import pandas as pd


def predictions(correct: dict[tuple[str, str, str, str], list], *, classes: int = 4) -> pd.DataFrame:
    """From (model, shift, factor, level) → right or wrong, one entry per object (a list: several samples)."""
    rows = []
    for (model, shift, factor, level), entries in correct.items():
        sample = 0
        for number, entry in enumerate(entries):
            for right in np.atleast_1d(entry):
                label = number % classes
                guess = label if right else (label + 1) % classes
                rows.append((model, shift, factor, level, sample, f"object{number:03d}", label, guess))
                sample += 1
    names = ["model", "shift", "factor", "level", "sample", "object", "label", "prediction"]
    return pd.DataFrame(rows, columns=names)


def value(scores: pd.DataFrame, metric: str, model: str = "net") -> float:
    """The value of one score; a KeyError if there is none."""
    return float(row(scores, metric, model)["value"])


def row(scores: pd.DataFrame, metric: str, model: str = "net") -> pd.Series:
    """The row of one score; a KeyError if there is none."""
    return scores.set_index(["model", "metric"]).loc[(model, metric)]


def share(right: float, n: int = 20) -> list[int]:
    """n objects of which the first share is right."""
    return [1] * round(right * n) + [0] * (n - round(right * n))
