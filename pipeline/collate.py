"""Join the models' tables and compute the scores: ``python -m pipeline.collate``."""

from __future__ import annotations

import hashlib
import re

import pandas as pd

from pipeline import files, stage
from pipeline.params import Params
from reports.comparing import compare_best, compare_twins
from robustness import models, scores
from robustness.attacks import noise_study
from robustness.data.image_set import ImageSet

# What the overview of all models shows.
MEASURES = ("clean/accuracy", "viewpoint/drop", "clutter/drop", "corruption/drop")
ROBUST = re.compile(r"attack/worst_linf/eps_[0-9.]+/robust_accuracy")


def collate(params: Params) -> None:
    """Write the tables of all models in params.yaml, ``reports/scores.csv`` and ``reports/metrics.json``."""
    images = ImageSet.open(files.IMAGES)
    tables = {
        table: pd.concat([files.read_table(files.RESULTS / name / place) for name in params.models])
        for table, place in files.RESULTS_OF.items()
    }
    tables["histories"] = pd.concat(
        [
            files.read_table(files.MODELS / name / "history.parquet").assign(model=name)
            for name in params.models
        ]
    )
    for table, place in files.OF_NOISE.items():
        studies = [files.RESULTS / name / place for name in params.models]
        tables[table] = pd.concat(
            [
                pd.DataFrame(columns=list(noise_study.COLUMNS)),
                *(files.read_table(study) for study in studies if study.is_file()),
            ]
        )
    tables["transfer"] = files.read_table(files.TRANSFER)
    tables["models"] = pd.DataFrame([_model(params, name) for name in params.models])
    common = {"seed": params.seed, "resamples": params.statistics.resamples}
    found = [
        scores.from_predictions(
            tables["predictions"],
            classes=len(images.classes),
            normaliser=params.corruption_normaliser(),
            samples=images.samples,
            **common,
        ),
        scores.from_attacks(tables["attacks"], **common),
        scores.from_probes(tables["probes"], **common),
    ]
    # One model after the other, as in params.yaml.
    tables["scores"] = pd.concat(found, ignore_index=True).sort_values(
        "model", key=lambda column: column.map(list(params.models).index), kind="stable"
    )
    shares = files.read_table(files.LEARNING_CURVE)
    common |= {"classes": len(images.classes)}
    tables["learning_curve"] = scores.from_learning_curve(shares, **common)
    measured = (tables["predictions"], tables["attacks"], tables["models"])
    compared = [
        compare_twins(*measured, **common),
        compare_best(*measured, tables["scores"], **common),
        scores.compare_largest(shares, **common),
    ]
    tables["comparisons"] = pd.concat([part for part in compared if len(part)] or compared[:1])
    with files.whole(files.TABLES) as folder:
        folder.mkdir()
        for name, table in tables.items():
            table.reset_index(drop=True).to_parquet(folder / f"{name}.parquet", index=False)
    files.write_text(tables["scores"].to_csv(index=False, float_format="%.6g"), files.REPORTS / "scores.csv")
    files.write_text(_summary(tables["scores"]), files.REPORTS / "summary.csv")
    files.write_json(_nested(tables["scores"]), files.REPORTS / "metrics.json")


def _model(params: Params, name: str) -> dict[str, object]:
    """One row of the table ``models``."""
    path = files.weights(name)
    model = stage.read_model(name)
    spec, notes = models.read_header(path)
    return {
        "model": name,
        "architecture": spec.architecture,
        "frontend": spec.frontend,
        "training": spec.training,
        "width": spec.width,
        "parameters": models.count_parameters(model),
        "images": notes["images"],
        "epochs": notes["recipe"]["epochs"],
        "attack_steps": notes["recipe"]["adversarial_steps"] if spec.training == "adversarial" else 0,
        "weights": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _summary(table: pd.DataFrame) -> str:
    """One row a model, a column a measure: what ``dvc plots show`` draws."""
    budgets = sorted({metric for metric in table["metric"] if ROBUST.fullmatch(metric)}, key=_budget)
    measures = [*MEASURES, *budgets]
    wide = table[table["metric"].isin(measures)].pivot(index="model", columns="metric", values="value")
    wide = wide.reindex(index=table["model"].unique(), columns=measures)
    return wide.to_csv(float_format="%.6g")


def _budget(metric: str) -> float:
    return float(metric.split("eps_")[1].split("/")[0])


def _nested(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Model → metric → value, the metrics of the summary only: what ``dvc metrics show`` prints."""
    chosen = table[~table["metric"].str.startswith("probe/") & table["value"].notna()]
    return {
        str(model): {row.metric: round(float(row.value), 6) for row in part.itertuples()}
        for model, part in chosen.groupby("model", sort=False)
    }


if __name__ == "__main__":
    stage.run(collate)
