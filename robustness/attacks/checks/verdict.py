"""What a check says: pass, warn or fail, with the figure and the limit that decided."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

COLUMNS = ("model", "check", "verdict", "figure", "limit", "detail")


@dataclass(frozen=True)
class Check:
    """One verdict. ``figure`` passes up to ``limit``; ``detail`` says what it counts, in a few words."""

    check: str
    verdict: str
    figure: float
    limit: float
    detail: str


def at_most(
    check: str, figure: float, limit: float, detail: str, *, fail_above: float | None = None
) -> Check:
    """Pass up to ``limit``, warn up to ``fail_above`` (``limit`` if None: no warning), fail above and for
    NaN."""
    edge = limit if fail_above is None else fail_above
    verdict = "fail" if math.isnan(figure) or figure > edge else "pass" if figure <= limit else "warn"
    return Check(check, verdict, float(figure), float(limit), detail)


def warn_above(check: str, figure: float, limit: float, detail: str) -> Check:
    """Pass up to ``limit``, warn above; never fail."""
    return at_most(check, figure, limit, detail, fail_above=math.inf)


def table(model: str, checks: Iterable[Check]) -> pd.DataFrame:
    """The table ``checks`` of one model: model, check, verdict, figure, limit, detail."""
    rows = [(model, c.check, c.verdict, c.figure, c.limit, c.detail) for c in checks]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def trustworthy(checks: pd.DataFrame) -> pd.Series:
    """For each model of a table ``checks``, whether none of its checks failed: a boolean Series by model."""
    return (checks["verdict"] != "fail").groupby(checks["model"].astype(str), sort=False).all()
