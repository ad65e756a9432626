"""Train one net on shares of the training data and test each: ``python -m pipeline.learning_curve``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pandas as pd

from pipeline import files, stage
from pipeline.params import LEARNING_CURVE, Params
from robustness import evaluation, models, training
from robustness.data import subsets
from robustness.data.image_set import ImageSet
from robustness.devices import resolve
from robustness.errors import UserError
from robustness.evaluation import ImageCondition

FACTS = ("model", "axis", "share", "objects", "images", "epochs")
SHIFTS = ("clean", "viewpoint", "clutter")
# They have scores of their own, which no learning curve shows.
LEFT_OUT = ("sphere", "swap")
# Images whose pixels tell one image set from another.
TELLTALES = 64


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


def learning_curve(params: Params) -> None:
    """Write the table ``learning_curve``: predictions after training on each share; without rows if there is
    no learning curve in params.yaml.

    Every part is trained for about the same number of steps: a smaller share for more epochs. A finished
    part keeps the state of its training until all are done: after an interruption only the rest is trained.
    """
    tables = [pd.DataFrame(columns=[*FACTS, *evaluation.COLUMNS])]
    if params.learning_curve is not None:
        images = ImageSet.open(files.IMAGES)
        if not len(images.rows(split="test", shift="clean")):
            raise UserError(f"image set {images.folder}: has no clean test images; make the set again")
        whole = _training_rows(params, images)
        tables = [_predictions(params, images, part, whole) for part in _parts(params, images, whole)]
    files.write_table(pd.concat(tables, ignore_index=True), files.LEARNING_CURVE)
    shutil.rmtree(files.WORK / LEARNING_CURVE, ignore_errors=True)


def _training_rows(params: Params, images: ImageSet) -> np.ndarray:
    role = "diverse" if params.learning_curve.model.training == "diverse" else "canonical"
    rows = images.rows(split="train", role=role)
    if not len(rows):
        raise UserError(f"image set {images.folder}: has no {role} training images; make the set with them")
    return rows


def _parts(params: Params, images: ImageSet, whole: np.ndarray) -> Iterator[Part]:
    """The trainings, the whole data last."""
    curve = params.learning_curve
    for axis, shares, choose in (
        ("objects", curve.objects, subsets.share_of_objects),
        ("views", curve.views, subsets.share_of_views),
    ):
        for share in shares:
            if share < 1:
                yield Part(axis, share, choose(images, whole, share, seed=params.seed))
    if 1.0 in (*curve.objects, *curve.views):
        yield Part("all", 1.0, whole)


def _predictions(params: Params, images: ImageSet, part: Part, whole: np.ndarray) -> pd.DataFrame:
    """Train on a part and classify the test images."""
    alone, device = params.of_learning_curve(), resolve(params.device)
    recipe = alone.recipe(LEARNING_CURVE)
    recipe = recipe.model_copy(
        update={"epochs": epochs(recipe.epochs, recipe.batch_size, len(part.rows), len(whole))}
    )
    model = models.build(alone.spec(LEARNING_CURVE, images))
    try:
        training.train(
            model,
            images,
            part.rows,
            images.rows(split="validation", role="canonical"),
            training.Recipe(**recipe.model_dump()),
            seed=params.seed,
            device=device,
            resume=files.WORK / LEARNING_CURVE / part.name / f"{_telltale(images, part.rows)}.pt",
            progress=stage.epoch_progress(f"on {part.name}"),
        )
    except training.DivergedError as error:
        # A rate of its own would make one share's training another than the others'.
        raise UserError(f"params.yaml: {LEARNING_CURVE}.model.recipe: {part.name}: {error}") from None
    rows, conditions = _test_rows(images), _conditions(params)
    total = len(rows) + len(conditions) * len(images.rows(split="test", shift="clean"))
    with stage.progress(total, f"evaluate {part.name}", "image") as bar:
        table = evaluation.evaluate(
            model,
            images,
            rows,
            conditions,
            batch_size=params.evaluation.batch_size,
            seed=params.seed,
            device=device,
            progress=bar.update,
        )
    objects = images.samples["object"].iloc[part.rows].nunique()
    facts = (part.name, part.axis, part.share, objects, len(part.rows), recipe.epochs)
    return table.assign(**dict(zip(FACTS, facts, strict=True)))[[*FACTS, *evaluation.COLUMNS]]


def epochs(usual: int, batch_size: int, images: int, all_images: int) -> int:
    """The epochs on ``images`` that make about as many steps as the ``usual`` ones on ``all_images``."""
    steps, all_steps = (max(1, number // batch_size) for number in (images, all_images))
    return max(1, round(usual * all_steps / steps))


def _test_rows(images: ImageSet) -> np.ndarray:
    samples = images.samples
    wanted = (samples["split"] == "test") & samples["shift"].isin(SHIFTS)
    return np.flatnonzero(wanted & ~samples["factor"].isin(LEFT_OUT))


def _conditions(params: Params) -> list[ImageCondition]:
    return [c for c in params.image_conditions() if c.shift in SHIFTS and c.factor not in LEFT_OUT]


def _telltale(images: ImageSet, rows: np.ndarray) -> str:
    """Tells these images from others in the same rows: a training on those must not be taken up."""
    some = rows[np.linspace(0, len(rows) - 1, min(TELLTALES, len(rows)), dtype=np.int64)]
    return blake2b(np.ascontiguousarray(images.images[some]), digest_size=8).hexdigest()


if __name__ == "__main__":
    stage.run(learning_curve)
