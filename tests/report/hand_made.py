"""Contexts of hand-made numbers, of which the right sentences are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from report_tables import score_row

from robustness.report.context import ReportContext
from robustness.report.document import Answer
from robustness.report.inputs import TABLES, DataCard, ReportInputs
from robustness.report.model_table import ModelTable

ROBUST = "attack/worst_linf/eps_4/robust_accuracy"


def context(
    models: Mapping[str, Mapping[str, str]],
    scores: Mapping[tuple[str, str], tuple[float, float, float]],
    comparisons: Sequence[tuple[str, str, str, float, float, float]] = (),
    checks: Sequence[tuple[str, str]] = (),
) -> ReportContext:
    """Ten classes: scores {(model, metric): (value, low, high)}, differences (a, b, metric, …)."""
    tables = {name: pd.DataFrame(columns=list(columns)) for name, columns in TABLES.items()}
    rows = [score_row(*names, *numbers, 50) for names, numbers in scores.items()]
    tables["scores"] = pd.DataFrame(rows, columns=list(TABLES["scores"]))
    made = []
    for a, b, metric, difference, low, high in comparisons:
        verdict = "higher" if low > 0 else "lower" if high < 0 else "undecided"
        made.append((metric, a, b, difference, low, high, 0.01, 50, verdict))
    tables["comparisons"] = pd.DataFrame(made, columns=list(TABLES["comparisons"]))
    tables["checks"] = pd.DataFrame(
        [(model, "gradients", 4 / 255, verdict, 1.0, 0.5, "") for model, verdict in checks],
        columns=list(TABLES["checks"]),
    )
    counts = pd.DataFrame(columns=["split", "role", "objects", "images"])
    data = DataCard("objects", [str(i) for i in range(10)], 64, counts)
    params = {"seed": 1, "statistics": {"resamples": 100}, "models": models}
    inputs = ReportInputs(params=params, data=data, **tables)
    return ReportContext(inputs, ModelTable.of(inputs), Path("nowhere"))


def model(architecture: str, frontend: str = "learned", training: str = "canonical") -> dict[str, str]:
    return {"architecture": architecture, "frontend": frontend, "training": training}


def texts(answers: Sequence[Answer], status: str | None = None) -> str:
    return " ".join(answer.text for answer in answers if status in (None, answer.status))
