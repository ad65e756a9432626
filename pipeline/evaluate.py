"""Classify the test images under every condition: ``python -m pipeline.evaluate --model ID``."""

from __future__ import annotations

from pipeline import files, inputs, stage
from pipeline.settings import StageSettings
from robustness import evaluation, progress
from robustness.devices import resolve
from robustness.whole_files import write_table

READS = ("seed", "evaluation")


def evaluate(settings: StageSettings, name: str) -> None:
    """Write the table ``predictions`` of one model."""
    conditions = settings.evaluation.image_conditions()
    images = inputs.image_set()
    model = inputs.load_model(name)
    rows = images.rows(split="test")
    total = evaluation.images_to_classify(images, rows, conditions)
    with progress.counted(f"evaluate {name}", total) as bar:
        table = evaluation.evaluate(
            model,
            images,
            rows,
            conditions,
            batch_size=settings.evaluation.batch_size,
            seed=settings.seed,
            device=resolve(settings.device),
            progress=bar,
        )
    table.insert(0, "model", name)
    write_table(table, files.RESULTS / name / "predictions.parquet")


if __name__ == "__main__":
    stage.run_model(evaluate, READS)
