"""The scores of all models of a run from its joined tables, and the small tables made of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import pandas as pd

from robustness.scores.attacks import from_attacks, from_gradients
from robustness.scores.calibration import from_confidences
from robustness.scores.effects import effects
from robustness.scores.learning_curve import compare_largest, from_learning_curve
from robustness.scores.predictions import from_predictions, with_columns_of
from robustness.scores.probes import from_probes
from robustness.scores.table import wide
from robustness.scores.twins import compare_best, compare_twins
from robustness.scores.unknown import from_unknown
from robustness.statistics.bootstrap import RESAMPLES

MEASURES = ("clean/accuracy", "pose/drop", "clutter/drop", "corruption/drop")
"""What the overview of all models shows, beside worst-case robust accuracies."""

HEADLINES = (
    *MEASURES,
    "corruption/mce",
    "pose/worst_view_accuracy",
    "pose/flip_rate",
    "clutter/bg_gap",
    "attack/worst_linf/area",
    "attack/worst_l2/area",
)
"""What ``reports/metrics.json`` holds, beside worst-case robust accuracies."""


def joined(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """One table of the models' tables, one after the other; those without rows have no say in its types."""
    every = list(parts)
    return pd.concat([part for part in every if len(part)] or every[:1])


def computed(
    tables: Mapping[str, pd.DataFrame],
    shares: pd.DataFrame,
    samples: pd.DataFrame,
    *,
    classes: int,
    fine_tuned: Collection[str] = (),
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, pd.DataFrame]:
    """The tables ``scores``, ``comparisons``, ``effects`` and ``learning_curve`` of a run.

    ``tables`` holds ``predictions``, ``unknown``, ``attacks``, ``gradients``, ``probes`` and ``models``;
    ``shares`` what the learning curve measured; the rest as for ``collated``.
    """
    common = {"classes": classes, "seed": seed, "resamples": resamples}
    found = collated(tables, samples, fine_tuned=fine_tuned, **common)
    predictions = with_columns_of(samples, tables["predictions"])
    measured = (predictions, tables["attacks"], tables["models"])
    compared = (
        compare_twins(*measured, **common),
        compare_best(*measured, found, **common),
        compare_largest(shares, **common),
    )
    return {
        "scores": found,
        "comparisons": joined(compared),
        "effects": effects(*measured, **common),
        "learning_curve": from_learning_curve(shares, **common),
    }


def collated(
    tables: Mapping[str, pd.DataFrame],
    samples: pd.DataFrame,
    *,
    classes: int,
    fine_tuned: Collection[str] = (),
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """The table ``scores`` from ``predictions``, ``unknown``, ``attacks``, ``gradients`` and ``probes``, in
    the order of ``models``.

    ``samples`` are those of the image set; ``fine_tuned``: models that corruption errors are not divided by.
    """
    common = {"seed": seed, "resamples": resamples}
    found = [
        from_predictions(
            tables["predictions"],
            classes=classes,
            normaliser=corruption_normaliser(tables["models"], fine_tuned),
            samples=samples,
            **common,
        ),
        from_confidences(tables["predictions"], **common),
        from_unknown(tables["predictions"], tables["unknown"], **common),
        from_attacks(tables["attacks"], **common),
        from_gradients(tables["gradients"], **common),
        from_probes(tables["probes"], **common),
    ]
    order = list(tables["models"]["model"])
    return pd.concat(found, ignore_index=True).sort_values(
        "model", key=lambda column: column.map(order.index), kind="stable"
    )


def corruption_normaliser(models: pd.DataFrame, fine_tuned: Collection[str] = ()) -> str | None:
    """The model whose errors corruption errors are divided by: our own AlexNet, plainly trained; or None."""
    plain = models[
        (models["architecture"] == "alexnet")
        & (models["frontend"] == "learned")
        & (models["training"] == "canonical")
        & ~models["model"].isin(list(fine_tuned))
    ]
    return None if plain.empty else str(plain["model"].iloc[0])


def worst_case_metrics(scores: pd.DataFrame) -> list[str]:
    """The metrics of worst-case robust accuracy against L∞ attacks, ε ascending."""
    worst = scores[(scores["factor"] == "worst_linf") & (scores["statistic"] == "robust_accuracy")]
    return list(worst.drop_duplicates("metric").sort_values("level", key=pd.to_numeric)["metric"])


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """One row per model, one column per measure: what ``dvc plots show`` draws."""
    return _chosen(scores, [*MEASURES, *worst_case_metrics(scores)])


def curves(scores: pd.DataFrame) -> pd.DataFrame:
    """Accuracy by model, curve (``shift/factor``) and numeric level, ε among them: what ``dvc plots show``
    draws."""
    number = pd.to_numeric(scores["level"], errors="coerce")
    chosen = scores["statistic"].isin(["accuracy", "robust_accuracy"]) & number.notna()
    found = scores[chosen].assign(curve=scores["shift"] + "/" + scores["factor"], level=number)
    return found[["model", "curve", "level", "value"]]


def headlines(scores: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Model → metric → value of about a dozen metrics: what ``dvc metrics show`` prints."""
    table = _chosen(scores, [*HEADLINES, *worst_case_metrics(scores)])
    return {str(model): row.dropna().round(6).to_dict() for model, row in table.iterrows()}


def _chosen(scores: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    return wide(scores, metrics).reindex(scores["model"].unique())
