"""Take over weights trained elsewhere, or train: ``python -m pipeline.adopt --model ID``."""

from __future__ import annotations

import sys

import pandas as pd

from pipeline import files, stage
from pipeline.params import ModelParams, Params
from robustness import weights
from robustness.data.image_set import ImageSet
from robustness.data.photos import class_groups


def adopt(params: Params, name: str, model_params: ModelParams) -> None:
    """Write the weights of one model; its history has no epochs if they come from elsewhere."""
    source = params.origin(name)
    if source is None:
        from pipeline.train import train

        train(params, name, model_params)
        return
    images = ImageSet.open(files.IMAGES)
    groups = class_groups(images)
    print(f"{name}: weights {source}", file=sys.stderr)
    model = weights.adopt(
        source,
        architecture=model_params.architecture,
        image_size=images.image_size,
        num_classes=len(images.classes),
        groups=groups,
        seed=params.seed,
    )
    notes = {"recipe": {"epochs": 0}, "images": 0, "epochs": 0}
    with files.whole(files.MODELS / name) as folder:
        folder.mkdir()
        place = folder / "weights.safetensors"
        weights.save(model, source, place, notes, architecture=model_params.architecture, groups=groups)
        _no_history().to_parquet(folder / "history.parquet", index=False)


def _no_history() -> pd.DataFrame:
    return pd.DataFrame(
        {"epoch": pd.Series(dtype="int64")}
        | {key: pd.Series(dtype="float64") for key in ("loss", "validation_accuracy", "learning_rate")}
    )


if __name__ == "__main__":
    stage.run_model(adopt)
