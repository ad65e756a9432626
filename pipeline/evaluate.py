"""Classify the test images under every condition: ``python -m pipeline.evaluate --model ID``."""

from __future__ import annotations

from pipeline import files, inputs, stage
from pipeline.settings import StageSettings
from robustness import evaluation, progress
from robustness.devices import resolve
from robustness.whole_files import write_table

READS = ("seed", "evaluation")


def evaluate(settings: StageSettings, name: str) -> None:
    """Write the tables ``predictions`` and ``unknown``, of objects of no class, of one model."""
    conditions = settings.evaluation.image_conditions()
    images = inputs.image_set()
    model = inputs.load_model(name)
    wanted = {"predictions": (images.rows(split="test"), conditions),
              "unknown": (images.rows(split="unknown"), [])}  # fmt: skip
    options = {"batch_size": settings.evaluation.batch_size, "seed": settings.seed,
               "device": resolve(settings.device)}  # fmt: skip
    count = settings.evaluation.images
    total = sum(evaluation.images_to_classify(images, *each, count) for each in wanted.values())
    with progress.counted(f"evaluate {name}", total) as bar:
        for table, (rows, conditions) in wanted.items():
            found = evaluation.evaluate(model, images, rows, conditions, count=count, progress=bar, **options)
            found.insert(0, "model", name)
            write_table(found, files.RESULTS / name / files.RESULTS_OF[table])


if __name__ == "__main__":
    stage.run_model(evaluate, READS)
