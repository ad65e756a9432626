"""Classify the test images under every condition: ``python -m pipeline.evaluate --model ID``."""

from __future__ import annotations

from pipeline import files, stage
from pipeline.params import ModelParams, Params
from robustness import evaluation
from robustness.data.image_set import ImageSet
from robustness.devices import resolve


def evaluate(params: Params, name: str, model_params: ModelParams) -> None:
    """Write the table ``predictions`` of one model."""
    images = ImageSet.open(files.IMAGES)
    model = stage.load_model(params, name, images)
    rows = images.rows(split="test")
    conditions = params.image_conditions()
    total = len(rows) + len(conditions) * len(images.rows(split="test", shift="clean"))
    with stage.progress(total, f"evaluate {name}", "image") as bar:
        table = evaluation.evaluate(
            model,
            images,
            rows,
            conditions,
            batch_size=params.evaluation.batch_size,
            seed=params.seed,
            device=resolve(params.device),
            progress=bar.update,
        )
    table.insert(0, "model", name)
    files.write_table(table, files.RESULTS / name / "predictions.parquet")


if __name__ == "__main__":
    stage.run_model(evaluate)
