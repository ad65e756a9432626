"""From the settings of a model to a classifier with pretrained weights, fine-tuned if they ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from robustness import models
from robustness.data.image_set import ImageSet
from robustness.data.origin import class_groups
from robustness.errors import UserError
from robustness.models import ModelSettings
from robustness.training import Progress, Recipe, train
from robustness.weights.fine_tuning import fingerprint, freeze
from robustness.weights.pretrained import build, check_fits, load, origin_notes
from robustness.weights.reading import check_file
from robustness.weights.settings import FineTune, check
from robustness.weights.source import parse


def pretrained_model(
    name: str,
    settings: ModelSettings,
    recipe: Recipe,
    frontend: Mapping[str, Any],
    images: ImageSet,
    *,
    seed: int,
    device: torch.device,
    state: Path,
    progress: Progress | None = None,
) -> tuple[nn.Module, pd.DataFrame, dict[str, Any]]:
    """The classifier, the history of its fine-tuning (without rows if there is none), and notes.

    The arguments are those of ``training.train_model``. Raises UserError if the weights cannot be loaded or
    do not fit the image set, or if that has no images to fine-tune on.
    """
    check(settings)
    if parse(settings.weights).kind == "checkpoint":
        return _of_another_run(settings, images)
    source, seed = parse(settings.weights, settings.sha256), settings.seed_or(seed)
    fine_tune = None if settings.fine_tune is None else FineTune.read(settings.fine_tune)
    how = {"architecture": settings.architecture, "groups": class_groups(images),
           "builder": settings.builder, "new_head": fine_tune is not None and fine_tune.new_head}  # fmt: skip
    model = build(
        source,
        image_size=images.image_size,
        num_classes=len(images.classes),
        frontend=settings.frontend,
        frontend_options=settings.all_frontend_options(frontend),
        seed=seed,
        **how,
    )
    origin = origin_notes(source, **how)
    if fine_tune is None:
        return model, _no_history(), origin | {"recipe": {"epochs": 0}, "images": 0}
    rows = images.rows(split="train", role="canonical")
    if not len(rows):
        raise UserError(f"image set {images.folder}: has no training images to fine-tune models.{name} on")
    freeze(model, fine_tune.stages)
    recipe = recipe.changed(settings.recipe_changes)
    history = train(
        model,
        images,
        rows,
        images.rows(split="validation", role="canonical"),
        recipe,
        seed=seed,
        device=device,
        # The weights may have changed since an interruption: each start has a state of its own.
        resume=state / f"fine_tune_{fingerprint(model)[:16]}.pt",
        progress=progress,
    )
    return model, history, origin | {"recipe": recipe.model_dump(), "images": len(rows)}


def _of_another_run(
    settings: ModelSettings, images: ImageSet
) -> tuple[nn.Module, pd.DataFrame, dict[str, Any]]:
    """The model of a checkpoint as it was, with that training's notes; no history."""
    source = parse(settings.weights, settings.sha256)
    path = Path(source.name).expanduser()
    check_file(path, source.sha256)
    spec, notes = models.read_header(path)
    check_fits(spec, images.image_size, len(images.classes), f"weights {source}")
    return load(path), _no_history(), notes


def _no_history() -> pd.DataFrame:
    return pd.DataFrame(
        {"epoch": pd.Series(dtype="int64")}
        | {key: pd.Series(dtype="float64") for key in ("loss", "validation_accuracy", "learning_rate")}
    )
