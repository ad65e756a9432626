"""Classify images under every condition: one row of the table ``predictions`` an image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn

from robustness import frontends, shifts
from robustness.data.image_set import NO_CLASS, ImageSet, format_level
from robustness.errors import UserError, at
from robustness.seeds import derive
from robustness.settings import Settings
from robustness.shifts.background import Donors

COLUMNS = (
    "shift",
    "factor",
    "level",
    "sample",
    "object",
    "label",
    "prediction",
    "confidence",
    "margin",
    "energy",
)


@dataclass(frozen=True)
class ImageCondition:
    """A condition made from the clean test images at evaluation time: a planar shift or a corruption."""

    shift: str
    factor: str
    level: str


class EvaluationSettings(Settings):
    """How images are classified, and what is made from clean ones: shift → factor → levels.

    ``images``: so many clean ones, spread over objects and the same for every model, are seen under the
    conditions; null: all of them.
    """

    batch_size: int = Field(ge=1, le=65536)
    images: int | None = Field(default=None, ge=1)
    conditions: dict[str, dict[str, list[Any]]] = Field(default={})

    def check(self) -> None:
        for shift, factors in self.conditions.items():
            for name, levels in factors.items():
                with at(f"conditions.{shift}.{name}"):
                    _check_levels(shifts.get(f"{shift}/{name}"), levels)

    def require(self) -> None:
        """Raises UserError if something is not installed that a condition needs."""
        for condition in self.image_conditions():
            shifts.get(f"{condition.shift}/{condition.factor}").require()

    def image_conditions(self) -> list[ImageCondition]:
        """The conditions one by one, in order."""
        return [
            ImageCondition(shift, factor, format_level(level))
            for shift, factors in self.conditions.items()
            for factor, levels in factors.items()
            for level in levels
        ]


def _check_levels(factor: shifts.Factor, levels: list[Any]) -> None:
    if factor.applies == "rendered":
        raise UserError("is rendered; it belongs under data.render.factors")
    for level in levels:
        if not isinstance(level, (int, float, str)):
            raise UserError(f"{level!r} is no level; use numbers or names")
        factor.parse(level)
    texts = [format_level(level) for level in levels]
    twice = next((text for text in texts if texts.count(text) > 1), None)
    if twice is not None:
        raise UserError(f"the level {twice} stands twice; leave one out")


def images_to_classify(
    images: ImageSet, rows: np.ndarray, conditions: Sequence[ImageCondition], count: int | None = None
) -> int:
    """How many images an evaluation classifies: ``rows``, and clean test images under each condition."""
    clean = len(images.rows(split="test", shift="clean"))
    return len(rows) + len(conditions) * min(clean, count or clean)


def evaluate(
    model: nn.Module,
    images: ImageSet,
    rows: np.ndarray,
    conditions: Iterable[ImageCondition] = (),
    *,
    count: int | None = None,
    batch_size: int,
    seed: int,
    device: torch.device,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """The table ``predictions`` (without the column model) for the stored images ``rows`` and for
    ``conditions`` made from the clean ones among them, or from ``count`` of these.

    ``confidence`` is the largest softmax probability (0–1), ``margin`` the logit of the label less the
    largest other logit (NaN for objects of no class), ``energy`` −log Σ exp(logit) (Liu et al. 2020, equation
    4), low where a model knows what it sees. A stochastic model sees each image once, under noise that
    belongs to (seed, image): neither the batch size nor the order changes a result.
    """
    model.to(device, memory_format=torch.channels_last).eval()
    conditions = tuple(conditions)
    donors = lenders(images, conditions)
    parts = [_classify(model, images, rows, None, None, batch_size, seed, device, progress)]
    clean = rows[(images.samples["shift"].to_numpy()[rows] == "clean")]
    if count is not None and conditions:
        clean = images.spread_over_objects(clean, count, seed=derive(seed, "under conditions"))
    for condition in conditions:
        parts.append(_classify(model, images, clean, condition, donors, batch_size, seed, device, progress))
    model.cpu()
    return pd.concat(parts, ignore_index=True)


def _classify(
    model: nn.Module,
    images: ImageSet,
    rows: np.ndarray,
    condition: ImageCondition | None,
    donors: Donors | None,
    batch_size: int,
    seed: int,
    device: torch.device,
    progress: Callable[[int], None] | None,
) -> pd.DataFrame:
    labels = images.labels(rows).numpy()
    empty = {"prediction": np.int64, "confidence": np.float32, "margin": np.float32, "energy": np.float32}
    columns = {name: [np.zeros(0, kind)] for name, kind in empty.items()}
    for start, logits in logits_of(model, images, rows, condition, donors, batch_size, seed, device):
        part = labels[start : start + len(logits)]
        own = logits[np.arange(len(logits)), part]
        others = logits.copy()
        others[np.arange(len(logits)), part] = -np.inf
        columns["prediction"].append(logits.argmax(1))
        columns["confidence"].append(_softmax(logits).max(1))
        columns["margin"].append(np.where(part == NO_CLASS, np.float32("nan"), own - others.max(1)))
        columns["energy"].append(-np.logaddexp.reduce(logits, axis=1))
        if progress is not None:
            progress(len(logits))
    samples = images.samples.iloc[rows]
    table = {name: samples[name].to_numpy() for name in ("shift", "factor", "level", "sample", "object")}
    if condition is not None:
        table |= {
            name: np.full(len(rows), getattr(condition, name), dtype=object)
            for name in ("shift", "factor", "level")
        }
    table["label"] = labels
    table |= {name: np.concatenate(values) for name, values in columns.items()}
    return pd.DataFrame(table)[list(COLUMNS)]


@torch.inference_mode()
def logits_of(
    model: nn.Module,
    images: ImageSet,
    rows: np.ndarray,
    condition: ImageCondition | None,
    donors: Donors | None,
    batch_size: int,
    seed: int,
    device: torch.device,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (first position, logits (n, classes) float32) batch by batch, each image under its own noise."""
    stochastic = frontends.is_stochastic(model)
    for start in range(0, len(rows), batch_size):
        part = rows[start : start + batch_size]
        x = images.batch(part)
        if condition is not None:
            x = shifted(x, images, part, condition, donors, seed)
        x = x.to(device, memory_format=torch.channels_last)
        if stochastic:
            with frontends.sample_noise(model, [derive(seed, "evaluation noise", int(row)) for row in part]):
                logits = model(x)
        else:
            logits = model(x)
        yield start, logits.float().cpu().numpy()


def shifted(
    x: Tensor, images: ImageSet, rows: np.ndarray, condition: ImageCondition, donors: Donors | None, seed: int
) -> Tensor:
    """The images ``x`` of ``rows`` under a condition; draws belong to (seed, factor, image)."""
    factor = shifts.get(f"{condition.shift}/{condition.factor}")
    extras: dict[str, object] = {}
    if factor.needs_masks:
        extras["masks"] = masks_of(images, rows)
    if factor.needs_donors:
        extras |= {"donors": donors, "labels": images.labels(rows), "ids": object_codes(images)[rows]}
    seeds = [derive(seed, condition.shift, condition.factor, int(row)) for row in rows]
    return factor.apply(x, condition.level, seeds=seeds, **extras)


def lenders(images: ImageSet, conditions: Iterable[ImageCondition]) -> Donors | None:
    """The test images whose backgrounds the swaps take: those in rendered rooms where there are any, else the
    clean ones; None if no condition swaps backgrounds."""
    factors = [shifts.get(f"{condition.shift}/{condition.factor}") for condition in conditions]
    if not any(factor.needs_donors for factor in factors):
        return None
    rows = images.rows(split="test", shift="clutter", factor="background", level="room")
    if not len(rows):
        rows = images.rows(split="test", shift="clean")
    if images.masks is None:
        masks_of(images, rows)  # which says what is missing
    return Donors(
        images=_Read(rows, images.batch),
        masks=_Read(rows, lambda chosen: masks_of(images, chosen)),
        labels=images.labels(rows),
        ids=object_codes(images)[rows],
        classes=len(images.classes),
    )


@dataclass(frozen=True)
class _Read:
    """Rows of an image set that are read when they are asked for: memory does not grow with their number."""

    rows: np.ndarray
    read: Callable[[np.ndarray], Tensor]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: Tensor) -> Tensor:
        return self.read(self.rows[places.cpu().numpy()])


def masks_of(images: ImageSet, rows: np.ndarray) -> Tensor:
    """The exact masks (N, H, W) of the images; raises UserError if the set has none."""
    if images.masks is None:
        raise UserError(f"image set {images.folder}: has no masks; leave conditions out that need them")
    return torch.from_numpy(np.asarray(images.masks[rows]))


def object_codes(images: ImageSet) -> Tensor:
    """A whole number for each row (N,), equal for images of one object."""
    return torch.from_numpy(pd.factorize(images.samples["object"])[0].astype(np.int64))


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponent = np.exp(logits - logits.max(1, keepdims=True))
    return exponent / exponent.sum(1, keepdims=True)
