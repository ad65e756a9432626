"""Join the models' tables and compute the scores: ``python -m pipeline.collate``."""

from __future__ import annotations

import pandas as pd

from pipeline import files, inputs, stage
from pipeline.settings import StageSettings
from robustness import models, scores
from robustness.data.image_set import ImageSet
from robustness.whole_files import read_table, whole, write_json, write_text

READS = ("seed", "statistics", "models")


def collate(settings: StageSettings) -> None:
    """Write the tables of all models in params.yaml, ``reports/scores.csv`` and ``reports/metrics.json``."""
    images, names = ImageSet.open(files.IMAGES), list(settings.models)
    places = {table: [files.RESULTS / name / place for name in names]
              for table, place in files.RESULTS_OF.items()}  # fmt: skip
    places["checks"].append(files.TRANSFER_CHECKS)
    tables = {table: scores.joined(map(read_table, paths)) for table, paths in places.items()}
    histories = (read_table(files.MODELS / name / "history.parquet").assign(model=name) for name in names)
    rows = [models.table_row(inputs.load_model(name), files.weights(name)) for name in names]
    tables |= {
        "histories": scores.joined(histories),
        "models": scores.set_apart(pd.DataFrame(rows, index=pd.Index(names, name="model")).reset_index()),
        "transfer": read_table(files.TRANSFER),
    }
    tables |= scores.computed(
        tables,
        read_table(files.LEARNING_CURVE),
        images.samples,
        classes=len(images.classes),
        fine_tuned=[name for name, model in settings.models.items() if model.fine_tune],
        seed=settings.seed,
        resamples=settings.statistics.resamples,
    )
    with whole(files.TABLES) as folder:
        folder.mkdir()
        for name, table in tables.items():
            table.reset_index(drop=True).to_parquet(folder / f"{name}.parquet", index=False)
    found = tables["scores"]
    write_text(found.to_csv(index=False, float_format="%.6g"), files.REPORTS / "scores.csv")
    write_text(scores.summary(found).to_csv(float_format="%.6g"), files.REPORTS / "summary.csv")
    write_text(scores.curves(found).to_csv(index=False, float_format="%.6g"), files.REPORTS / "curves.csv")
    write_json(scores.headlines(found), files.REPORTS / "metrics.json")


if __name__ == "__main__":
    stage.run(collate, READS)
