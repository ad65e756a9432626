"""The scores of all models of a run from its joined tables, and the small tables made of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import pandas as pd

from robustness.scores.attacks import from_attacks
from robustness.scores.predictions import from_predictions
from robustness.scores.probes import from_probes
from robustness.statistics.bootstrap import RESAMPLES

# What the overview of all models shows.
MEASURES = ("clean/accuracy", "viewpoint/drop", "clutter/drop", "corruption/drop")
ROBUST = re.compile(r"attack/worst_linf/eps_[0-9.]+/robust_accuracy")


def collated(
    tables: Mapping[str, pd.DataFrame],
    samples: pd.DataFrame,
    *,
    classes: int,
    fine_tuned: Collection[str] = (),
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """The table ``scores`` from ``predictions``, ``attacks`` and ``probes``, in the order of ``models``.

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
        from_attacks(tables["attacks"], **common),
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


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """One row a model, a column a measure: what ``dvc plots show`` draws."""
    budgets = {metric for metric in scores["metric"] if ROBUST.fullmatch(metric)}
    measures = [*MEASURES, *sorted(budgets, key=lambda metric: float(metric.split("eps_")[1].split("/")[0]))]
    table = scores[scores["metric"].isin(measures)].pivot(index="model", columns="metric", values="value")
    return table.reindex(index=scores["model"].unique(), columns=measures)


def nested(scores: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Model → metric → value, the probes' apart: what ``dvc metrics show`` prints."""
    chosen = scores[~scores["metric"].str.startswith("probe/") & scores["value"].notna()]
    return {
        str(model): {row.metric: round(float(row.value), 6) for row in part.itertuples()}
        for model, part in chosen.groupby("model", sort=False)
    }
