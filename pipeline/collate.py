"""Join the models' tables and compute the scores: ``python -m pipeline.collate``."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pipeline import files, inputs, stage
from pipeline.settings import StageSettings
from robustness import models, scores
from robustness.data.image_set import ImageSet
from robustness.scores.twins import compare_best, compare_twins
from robustness.whole_files import read_table, whole, write_json, write_text

READS = ("seed", "statistics", "models")


def collate(settings: StageSettings) -> None:
    """Write the tables of all models in params.yaml, ``reports/scores.csv`` and ``reports/metrics.json``."""
    images, names = ImageSet.open(files.IMAGES), list(settings.models)
    common = {"seed": settings.seed, "resamples": settings.statistics.resamples,
              "classes": len(images.classes)}  # fmt: skip
    tables = _joined(names)
    rows = [models.table_row(inputs.load_model(name), files.weights(name)) for name in names]
    tables["models"] = pd.DataFrame(rows)
    tables["models"].insert(0, "model", names)
    fine_tuned = [name for name, model in settings.models.items() if model.fine_tune]
    found = scores.collated(tables, images.samples, fine_tuned=fine_tuned, **common)
    shares = read_table(files.LEARNING_CURVE)
    measured = (tables["predictions"], tables["attacks"], tables["models"])
    compared = [
        compare_twins(*measured, **common),
        compare_best(*measured, found, **common),
        scores.compare_largest(shares, **common),
    ]
    tables |= {
        "scores": found,
        "transfer": read_table(files.TRANSFER),
        "learning_curve": scores.from_learning_curve(shares, **common),
        "effects": scores.effects(*measured, **common),
        "comparisons": pd.concat([part for part in compared if len(part)] or compared[:1]),
    }
    with whole(files.TABLES) as folder:
        folder.mkdir()
        for name, table in tables.items():
            table.reset_index(drop=True).to_parquet(folder / f"{name}.parquet", index=False)
    write_text(found.to_csv(index=False, float_format="%.6g"), files.REPORTS / "scores.csv")
    write_text(scores.summary(found).to_csv(float_format="%.6g"), files.REPORTS / "summary.csv")
    write_json(scores.headlines(found), files.REPORTS / "metrics.json")


def _joined(names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The tables of all models joined, one model after the other, and the histories of their training."""
    parts = {
        table: [read_table(files.RESULTS / name / place) for name in names]
        for table, place in files.RESULTS_OF.items()
    }
    histories = [read_table(files.MODELS / name / "history.parquet").assign(model=name) for name in names]
    parts["checks"].append(read_table(files.TRANSFER_CHECKS))
    joined = (parts | {"histories": histories}).items()
    return {table: pd.concat([part for part in every if len(part)] or every) for table, every in joined}


if __name__ == "__main__":
    stage.run(collate, READS)
