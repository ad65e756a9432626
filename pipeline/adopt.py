"""Take over weights trained elsewhere, fine-tune them, or train: ``python -m pipeline.adopt --model ID``."""

from __future__ import annotations

import sys
import time

import pandas as pd

from pipeline import files, stage
from pipeline.params import ModelParams, Params
from robustness import weights
from robustness.data.image_set import ImageSet
from robustness.data.origin import class_groups
from robustness.devices import resolve
from robustness.errors import UserError


def adopt(params: Params, name: str, model_params: ModelParams) -> None:
    """Write the weights of one model; its history has no epochs if they are used as they came."""
    source = params.origin(name)
    if source is None:
        from pipeline.train import train

        train(params, name, model_params)
        return
    images = ImageSet.open(files.IMAGES)
    fine_tune = model_params.fine_tune
    how = {"architecture": model_params.architecture, "groups": class_groups(images),
           "new_head": fine_tune is not None and fine_tune.new_head}  # fmt: skip
    print(f"{name}: weights {source}", file=sys.stderr)
    model = weights.adopt(
        source,
        image_size=images.image_size,
        num_classes=len(images.classes),
        frontend=model_params.frontend,
        frontend_options=params.frontend_options(name),
        seed=params.seed,
        **how,
    )
    notes, history = {"recipe": {"epochs": 0}, "images": 0, "epochs": 0}, _no_history()
    if fine_tune is not None:
        notes, history = _fine_tune(params, name, model, images)
    with files.whole(files.MODELS / name) as folder:
        folder.mkdir()
        place = folder / "weights.safetensors"
        weights.save(model, source, place, notes, fine_tune=params.fine_tuning(name), **how)
        history.to_parquet(folder / "history.parquet", index=False)
    for state in (files.WORK / name).glob("fine_tune_*.pt"):
        state.unlink()


def _fine_tune(
    params: Params, name: str, model: weights.Adopted, images: ImageSet
) -> tuple[dict[str, object], pd.DataFrame]:
    """Train the chosen stages in place; the notes for the checkpoint, and the history of the epochs."""
    from robustness import training

    rows = images.rows(split="train", role="canonical")
    if not len(rows):
        raise UserError(f"image set {images.folder}: has no training images to fine-tune models.{name} on")
    weights.freeze(model, params.model(name).fine_tune.stages)
    recipe = params.recipe(name)
    started = time.perf_counter()
    history = training.train(
        model,
        images,
        rows,
        images.rows(split="validation", role="canonical"),
        training.Recipe(**recipe.model_dump()),
        seed=params.seed,
        device=resolve(params.device),
        # The weights may have changed since an interruption: each start has a state of its own.
        resume=files.WORK / name / f"fine_tune_{weights.fingerprint(model)[:16]}.pt",
        progress=stage.epoch_progress(name),
    )
    seconds = time.perf_counter() - started
    files.write_json({"seconds": round(seconds, 1)}, files.WORK / name / "training_time.json")
    return {"recipe": recipe.model_dump(), "images": len(rows), "epochs": recipe.epochs}, history


def _no_history() -> pd.DataFrame:
    return pd.DataFrame(
        {"epoch": pd.Series(dtype="int64")}
        | {key: pd.Series(dtype="float64") for key in ("loss", "validation_accuracy", "learning_rate")}
    )


if __name__ == "__main__":
    stage.run_model(adopt)
