"""What a check says: all well, or what is wrong, with the figure and the limit that decided."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

COLUMNS = ("model", "check", "epsilon", "verdict", "figure", "limit", "detail")
Verdict = Literal["ok", "small", "weak", "masked"]
VERDICTS: tuple[Verdict, ...] = ("ok", "small", "weak", "masked")
"""All well; the sample is too small to tell; the attack is too weak; the model masks its gradients. The
later, the worse: of several verdicts the last one counts."""


@dataclass(frozen=True)
class Check:
    """One verdict. ``figure`` is well up to ``limit``; ``detail`` says what it counts, in a few words;
    ``epsilon``: where, in image units, NaN if at none in particular."""

    check: str
    verdict: Verdict
    figure: float
    limit: float
    detail: str
    epsilon: float = math.nan


def at_most(
    check: str, figure: float, limit: float, detail: str, otherwise: Verdict, epsilon: float = math.nan
) -> Check:
    """All well up to ``limit``; ``otherwise`` above, and for NaN."""
    return Check(check, "ok" if figure <= limit else otherwise, float(figure), float(limit), detail, epsilon)


def table(model: str, checks: Iterable[Check]) -> pd.DataFrame:
    """The table ``checks`` of one model: model, check, epsilon, verdict, figure, limit, detail."""
    rows = [(model, c.check, c.epsilon, c.verdict, c.figure, c.limit, c.detail) for c in checks]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def worst(checks: pd.DataFrame) -> pd.Series:
    """The worst verdict of each model of a table ``checks``: a Series by model."""
    rank = checks["verdict"].map(VERDICTS.index).groupby(checks["model"].astype(str), sort=False).max()
    return rank.map(VERDICTS.__getitem__)
