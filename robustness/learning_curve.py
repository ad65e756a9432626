"""What would more data bring? One net trained anew on shares of the training data, each tested alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import Field, field_validator

from robustness import evaluation, models, training
from robustness.data import subsets
from robustness.data.image_set import ImageSet
from robustness.errors import UserError
from robustness.evaluation import EvaluationSettings, ImageCondition
from robustness.models import TRAIN, ModelSettings
from robustness.settings import Settings

FACTS = ("model", "axis", "share", "objects", "images", "epochs")
SHIFTS = ("clean", "pose", "plane", "clutter")
# They have scores of their own, which no learning curve shows.
LEFT_OUT = ("sphere", "random", "swap")
# Images whose pixels tell one image set from another.
TELLTALES = 64


class LearningCurveSettings(Settings):
    """One net trained anew on shares (0–1] of the training data.

    ``objects``: shares of the objects of every class; ``views``: shares of the images of every object. The
    share 1.0, all of the data, is one training for both axes.
    """

    model: ModelSettings
    objects: list[float] = Field(default=[])
    views: list[float] = Field(default=[])

    @field_validator("objects", "views")
    @classmethod
    def _shares(cls, value: list[float]) -> list[float]:
        for share in value:
            if not 0 < share <= 1:
                raise ValueError(f"{share:g} is no share: use numbers above 0 and up to 1")
        if len(set(value)) != len(value):
            raise ValueError("a share stands there twice; leave one out")
        return value

    def check(self) -> None:
        if not {*self.objects, *self.views} - {1.0}:
            raise UserError("has no share below 1 in objects or views; add one, or set learning_curve: null")
        if self.model.weights != TRAIN:
            raise UserError(
                f"{self.model.weights} cannot stand there; every share trains the net anew, so name an "
                "architecture",
                "model.weights",
            )


@dataclass(frozen=True)
class Part:
    """One training: on a share of the ``objects`` or ``views``, or on ``all`` of the data."""

    axis: str
    share: float
    rows: np.ndarray

    @property
    def name(self) -> str:
        """The name in the table; its dot keeps it apart from the ids of models."""
        return f"{self.axis}_{self.share}"


def empty() -> pd.DataFrame:
    """The table without rows."""
    return pd.DataFrame(columns=[*FACTS, *evaluation.COLUMNS])


def learning_curve(
    settings: LearningCurveSettings,
    recipe: training.Recipe,
    frontend: Mapping[str, Any],
    evaluated: EvaluationSettings,
    images: ImageSet,
    *,
    seed: int,
    device: torch.device,
    state: Path,
    epochs_bar: Callable[[str], training.Progress],
    images_bar: Callable[[str, int], AbstractContextManager[Callable[[int], object]]],
) -> pd.DataFrame:
    """The table ``learning_curve``: predictions after training on each share, the whole data last.

    ``recipe`` and ``frontend`` are those of all models, which the net may change. Every part is trained for
    about the same number of steps: a smaller share for more epochs. A finished part keeps the state of its
    training in the folder ``state`` until all are done: after an interruption only the rest is trained.
    Raises UserError if the image set lacks training images, or if a training diverges.
    """
    net, own_seed = settings.model, settings.model.seed_or(seed)
    recipe = recipe.changed(net.recipe)
    spec = net.spec(len(images.classes), images.image_size, frontend, own_seed)
    whole = training.training_rows(images, net.training)
    rows, conditions = _test_rows(images), _conditions(evaluated)
    total = evaluation.images_to_classify(images, rows, conditions)
    tables = []
    for part in _parts(settings, images, whole, seed):
        now = recipe.changed({"epochs": epochs(recipe.epochs, recipe.batch_size, len(part.rows), len(whole))})
        model = models.build(spec)
        try:
            training.train(
                model,
                images,
                part.rows,
                images.rows(split="validation", role="canonical"),
                now,
                seed=own_seed,
                device=device,
                resume=state / part.name / f"{_telltale(images, part.rows)}.pt",
                progress=epochs_bar(f"on {part.name}"),
            )
        except training.DivergedError as error:
            # A rate of its own would make one share's training another than the others'.
            raise UserError(f"{part.name}: {error}", "learning_curve.model.recipe") from None
        with images_bar(f"evaluate {part.name}", total) as progress:
            table = evaluation.evaluate(
                model,
                images,
                rows,
                conditions,
                batch_size=evaluated.batch_size,
                seed=seed,
                device=device,
                progress=progress,
            )
        objects = images.samples["object"].iloc[part.rows].nunique()
        facts = (part.name, part.axis, part.share, objects, len(part.rows), now.epochs)
        tables.append(table.assign(**dict(zip(FACTS, facts, strict=True)))[[*FACTS, *evaluation.COLUMNS]])
    return pd.concat(tables, ignore_index=True)


def _parts(settings: LearningCurveSettings, images: ImageSet, whole: np.ndarray, seed: int) -> Iterator[Part]:
    """The trainings, the whole data last."""
    for axis, shares, choose in (
        ("objects", settings.objects, subsets.share_of_objects),
        ("views", settings.views, subsets.share_of_views),
    ):
        for share in shares:
            if share < 1:
                yield Part(axis, share, choose(images, whole, share, seed=seed))
    if 1.0 in (*settings.objects, *settings.views):
        yield Part("all", 1.0, whole)


def epochs(usual: int, batch_size: int, images: int, all_images: int) -> int:
    """The epochs on ``images`` that make about as many steps as the ``usual`` ones on ``all_images``."""
    steps, all_steps = (max(1, number // batch_size) for number in (images, all_images))
    return max(1, round(usual * all_steps / steps))


def _test_rows(images: ImageSet) -> np.ndarray:
    samples = images.samples
    wanted = (samples["split"] == "test") & samples["shift"].isin(SHIFTS)
    return np.flatnonzero(wanted & ~samples["factor"].isin(LEFT_OUT))


def _conditions(evaluated: EvaluationSettings) -> list[ImageCondition]:
    return [c for c in evaluated.image_conditions() if c.shift in SHIFTS and c.factor not in LEFT_OUT]


def _telltale(images: ImageSet, rows: np.ndarray) -> str:
    """Tells these images from others in the same rows: a training on those must not be taken up."""
    some = rows[np.linspace(0, len(rows) - 1, min(TELLTALES, len(rows)), dtype=np.int64)]
    return blake2b(np.ascontiguousarray(images.images[some]), digest_size=8).hexdigest()
