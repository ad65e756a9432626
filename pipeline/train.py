"""Train one model: ``python -m pipeline.train --model ID``."""

from __future__ import annotations

import time

from pipeline import files, stage
from pipeline.params import ModelParams, Params
from robustness import models, training
from robustness.data.image_set import ImageSet
from robustness.devices import resolve


def train(params: Params, name: str, model_params: ModelParams) -> None:
    """Train one model on its training set; write its weights and the history of its epochs."""
    images = ImageSet.open(files.IMAGES)
    role = "diverse" if model_params.training == "diverse" else "canonical"
    rows = images.rows(split="train", role=role)
    model = models.build(params.spec(name, images))
    recipe = training.Recipe(**params.recipe(name).model_dump())
    resume = files.WORK / name / "state.pt"
    started = time.perf_counter()
    history = training.train(
        model,
        images,
        rows,
        images.rows(split="validation", role=role),
        recipe,
        seed=params.seed,
        device=resolve(params.device),
        resume=resume,
        progress=stage.epoch_progress(name),
    )
    notes = {"recipe": params.recipe(name).model_dump(), "images": len(rows), "epochs": recipe.epochs}
    with files.whole(files.MODELS / name) as folder:
        folder.mkdir()
        models.save(model, folder / "weights.safetensors", notes)
        history.to_parquet(folder / "history.parquet", index=False)
    seconds = time.perf_counter() - started
    files.write_json({"seconds": round(seconds, 1)}, files.WORK / name / "training_time.json")
    resume.unlink(missing_ok=True)


if __name__ == "__main__":
    stage.run_model(train)
