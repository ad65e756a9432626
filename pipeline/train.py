"""Train one model: ``python -m pipeline.train --model ID``."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from pipeline import files, stage
from pipeline.params import ModelParams, Params, TrainingParams
from robustness import models, training
from robustness.data.image_set import ImageSet
from robustness.devices import resolve
from robustness.errors import UserError

# A diverged training is tried once more at this share of its learning rate.
SECOND_TRY = 0.3


def train(params: Params, name: str, model_params: ModelParams) -> None:
    """Train one model on its training set; write its weights and the history of its epochs."""
    images = ImageSet.open(files.IMAGES)
    recipe = params.recipe(name)
    try:
        model, history, rows = _train(params, name, images, recipe)
    except training.DivergedError as error:
        recipe = recipe.model_copy(update={"learning_rate": SECOND_TRY * recipe.learning_rate})
        print(f"{name}: {error}; once more at {recipe.learning_rate:g}", file=sys.stderr)
        model, history, rows = _train(params, name, images, recipe)
    notes = {"recipe": recipe.model_dump(), "images": rows, "epochs": recipe.epochs}
    with files.whole(files.MODELS / name) as folder:
        folder.mkdir()
        models.save(model, folder / "weights.safetensors", notes)
        history.to_parquet(folder / "history.parquet", index=False)
    _state(name).unlink(missing_ok=True)


def _state(name: str) -> Path:
    return files.WORK / name / "state.pt"


def _train(
    params: Params, name: str, images: ImageSet, recipe: TrainingParams
) -> tuple[models.Classifier, pd.DataFrame, int]:
    """The trained model, its history and the number of its training images."""
    role = "diverse" if params.model(name).training == "diverse" else "canonical"
    rows = images.rows(split="train", role=role)
    if not len(rows):
        raise UserError(f"image set {images.folder}: has no {role} training images; make the set with them")
    # Every training is judged by the same images.
    held_out = images.rows(split="validation", role="canonical")
    model = models.build(params.spec(name, images))
    history = training.train(
        model,
        images,
        rows,
        held_out,
        training.Recipe(**recipe.model_dump()),
        seed=params.seed,
        device=resolve(params.device),
        resume=_state(name),
        progress=stage.epoch_progress(name),
    )
    return model, history, len(rows)


if __name__ == "__main__":
    stage.run_model(train)
