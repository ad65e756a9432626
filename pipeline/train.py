"""Train one model, or prepare its pretrained weights: ``python -m pipeline.train --model ID``."""

from __future__ import annotations

from pipeline import files, stage
from pipeline.settings import StageSettings
from robustness import models, progress
from robustness.data.image_set import ImageSet
from robustness.devices import resolve
from robustness.whole_files import whole

READS = ("seed", "training", "frontend", "model")


def train(settings: StageSettings, name: str) -> None:
    """Write the weights of one model and the history of its epochs."""
    if settings.model.weights == models.TRAIN:
        from robustness.training import train_model as make
    else:
        from robustness.weights.from_settings import pretrained_model as make
    unfinished = files.WORK / name
    model, history, notes = make(
        name,
        settings.model,
        settings.training,
        settings.frontend,
        ImageSet.open(files.IMAGES),
        seed=settings.seed,
        device=resolve(settings.device),
        state=unfinished,
        progress=progress.epochs(name),
    )
    with whole(files.MODELS / name) as folder:
        folder.mkdir()
        models.save(model, folder / "weights.safetensors", notes)
        history.to_parquet(folder / "history.parquet", index=False)
    for state in unfinished.glob("*.pt"):
        state.unlink()


if __name__ == "__main__":
    stage.run_model(train, READS)
