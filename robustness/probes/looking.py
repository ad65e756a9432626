"""All probes of one model, one after the other, on clean test images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor, nn

from robustness import probes
from robustness.data.image_set import ImageSet
from robustness.errors import UserError
from robustness.probes.result import ProbeResult, Progress
from robustness.probes.saliency import Scenes
from robustness.probes.settings import ProbeSettings

Attacked = Callable[[np.ndarray, float], Tensor]
"""Rows of the image set and ε in image units → these images under attack."""


def look(
    model: nn.Module,
    images: ImageSet,
    settings: ProbeSettings,
    *,
    seed: int,
    device: torch.device,
    attacked: Attacked,
    bar: Callable[[str], AbstractContextManager[Progress]],
) -> Iterator[ProbeResult]:
    """The results of the probes, in the order of the settings; ``bar`` gives a probe's bar of progress.

    Raises UserError if a condition is to be placed of which the image set has no images.
    """
    model = model.to(device)
    clean = images.rows(split="test", shift="clean")
    rows = images.spread_over_objects(clean, settings.images, seed=seed)
    x, y = images.batch(rows).to(device), images.labels(rows)
    for name, options in settings.probes.items():
        extra = {}
        if name == "embedding":
            extra["placed"] = {
                condition: _placed(condition, images, rows, settings.placed_images, device, attacked)
                for condition in settings.placed
            }
        if name == "similarity":
            conditions = [each for each in settings.placed if not each.startswith("attack/")]
            extra["shifted"] = {each: _pairs(each, images, rows, device) for each in conditions}
        if name == "saliency" and images.masks is not None:
            extra["masks"] = _masks(images, rows)
            extra["scenes"] = {
                condition: _scenes(condition, images, settings.placed_images, seed, device)
                for condition in settings.placed
                if not condition.startswith("attack/")
            }
        with bar(name) as progress:
            yield probes.run(name, model, x, y, seed=seed, progress=progress, **extra, **options)


def _placed(
    condition: str,
    images: ImageSet,
    rows: np.ndarray,
    count: int,
    device: torch.device,
    attacked: Attacked,
) -> tuple[Tensor, Tensor]:
    """Places of a few images in the clean ``rows``, and how they look under a condition or attack."""
    shift, *rest = condition.split("/")
    few = np.arange(len(rows))[:: max(1, len(rows) // count)][:count]
    if shift == "attack":
        return torch.from_numpy(few), attacked(rows[few], float(rest[0]) / 255)
    places, moved = _pairs(condition, images, rows[few], device)
    return torch.from_numpy(few)[places], moved


def _rows_of(condition: str, images: ImageSet) -> np.ndarray:
    shift, factor, level = condition.split("/")
    there = images.rows(split="test", shift=shift, factor=factor, level=level)
    if len(there) == 0:
        raise UserError(f"no images of the condition {condition!r} were rendered", "probe.placed")
    return there


def _pairs(condition: str, images: ImageSet, rows: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Places in the clean ``rows`` of those whose scene was rendered under a condition, and how it looks."""
    places, there = _same_scenes(images, rows, _rows_of(condition, images))
    return torch.from_numpy(places), images.batch(there).to(device)


def _same_scenes(images: ImageSet, some: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places in ``some`` rows of those whose scene is among the ``others``, and its row among these."""
    scene = [name for name in ("object", "scene") if name in images.samples]
    here = images.samples.iloc[some].assign(place=np.arange(len(some)))
    there = images.samples.iloc[others].assign(row=others).drop_duplicates(scene)
    both = here[[*scene, "place"]].merge(there[[*scene, "row"]], on=scene)
    return both["place"].to_numpy(copy=True), both["row"].to_numpy()


def _masks(images: ImageSet, rows: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(images.masks[rows]))


def _scenes(condition: str, images: ImageSet, count: int, seed: int, device: torch.device) -> Scenes:
    """Images, labels and masks of a condition of the image set; where it adds distractors, the same scenes
    without."""
    few = images.spread_over_objects(_rows_of(condition, images), count, seed=seed)
    twins = None
    if condition.startswith("clutter/distractors/"):
        places, clean = _same_scenes(images, few, images.rows(split="test", shift="clean"))
        few, twins = few[places], images.batch(clean).to(device)
    return Scenes(images.batch(few).to(device), images.labels(few), _masks(images, few), twins)
