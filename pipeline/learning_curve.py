"""Train one net on shares of the training data and test each: ``python -m pipeline.learning_curve``."""

from __future__ import annotations

import shutil

from pipeline import files, inputs, stage
from pipeline.settings import StageSettings
from robustness import learning_curve as library
from robustness import progress
from robustness.devices import resolve
from robustness.whole_files import write_table

READS = ("seed", "training", "frontend", "evaluation", "learning_curve")


def learning_curve(settings: StageSettings) -> None:
    """Write the table ``learning_curve``, without rows if there is none in params.yaml."""
    unfinished = files.WORK / "learning_curve"
    table = library.empty()
    if settings.learning_curve is not None:
        table = library.learning_curve(
            settings.learning_curve,
            settings.training,
            settings.frontend,
            settings.evaluation,
            inputs.image_set(),
            seed=settings.seed,
            device=resolve(settings.device),
            state=unfinished,
            epochs_bar=progress.epochs,
            images_bar=progress.counted,
        )
    write_table(table, files.LEARNING_CURVE)
    shutil.rmtree(unfinished, ignore_errors=True)


if __name__ == "__main__":
    stage.run(learning_curve, READS)
