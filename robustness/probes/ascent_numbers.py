"""Numbers of preferred images: how strong, how stable, how natural, how different from start to start."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from robustness.probes import spectrum
from robustness.probes.ascent_engine import Ascended, Job
from robustness.probes.fourier import NaturalStatistics, RandomTransforms
from robustness.probes.layers import device_of
from robustness.probes.reference_activations import ReferenceActivations, last_features
from robustness.probes.result import to_numpy
from robustness.probes.targets import Canvas, Target

TRANSFORMS = 6
"""So many transforms of a preferred image are averaged for its stability."""


def measure(
    model: nn.Module,
    target: Target,
    canvas: Canvas,
    natural: ReferenceActivations,
    jobs: Sequence[Job],
    result: Ascended,
    statistics: NaturalStatistics,
    *,
    seed: int,
    batch: int,
) -> dict[str, np.ndarray]:
    """A number for each job (B,): activation_ratio, stability, high_frequency, natural_distance, diversity;
    their meaning is in :func:`robustness.probes.ascent.run`."""
    whole = torch.cat(
        [
            canvas.whole_image(part.to(natural.mean.device), natural.mean).cpu()
            for part in result.images.split(batch)
        ]
    )
    owners = np.unique([f"{job.unit} {job.regulariser.name}" for job in jobs], return_inverse=True)[1]
    return {
        "activation_ratio": activation_ratio(natural, target.stage, jobs, result),
        "stability": stability(model, target, canvas, jobs, result, statistics, seed, batch),
        "high_frequency": spectrum.high_frequency_share(to_numpy(result.images)),
        "natural_distance": natural.distance(last_features(model, whole, batch=batch)),
        "diversity": diversity(model, whole, natural, owners),
    }


def activation_ratio(
    natural: ReferenceActivations, stage: str, jobs: Sequence[Job], result: Ascended
) -> np.ndarray:
    """a(x*)/the unit's largest response to a natural image (B,); NaN where that is not positive."""
    largest = natural.largest[stage][[job.unit for job in jobs]].astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(largest > 0, to_numpy(result.responses) / largest, np.nan)


@torch.no_grad()
def stability(
    model: nn.Module,
    target: Target,
    canvas: Canvas,
    jobs: Sequence[Job],
    result: Ascended,
    statistics: NaturalStatistics,
    seed: int,
    batch: int,
) -> np.ndarray:
    """Mean response under ``TRANSFORMS`` small transforms of the receptive field over the response (B,):
    rotation by up to 5°, scaling and translation by up to 5 % of it, the same for all jobs. NaN where the
    response is not positive."""
    drawn = RandomTransforms.draw(seed, [("stability",)], TRANSFORMS, scale=0.05, shift=0.1)
    units = torch.tensor([job.unit for job in jobs], device=device_of(model))
    sums = torch.zeros(len(jobs))
    with target.tap(model) as tap:
        for first in range(0, len(jobs), batch):
            fields = result.images[first : first + batch].to(units.device)
            own = units[first : first + batch]
            repeated = RandomTransforms(*(value.expand(len(fields), -1) for value in drawn))
            for step in range(TRANSFORMS):
                moved = canvas.network_input(repeated.apply(fields, step), statistics.mean)
                responses = canvas.responses(tap(moved)[target.stage])
                sums[first : first + batch] += responses[torch.arange(len(fields)), own].cpu()
    still = to_numpy(result.responses).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(still > 0, to_numpy(sums) / TRANSFORMS / still, np.nan)


def diversity(
    model: nn.Module, images: Tensor, natural: ReferenceActivations, owners: np.ndarray
) -> np.ndarray:
    """1 − the mean cosine of an image's features with those of the same owner's other images (B,);
    features of the last stage, the natural images' mean taken off. NaN for an owner with one image."""
    features = last_features(model, images) - natural.last.mean(0)
    features = features / features.norm(dim=1, keepdim=True).clamp_min(1e-12)
    cosine = to_numpy(features @ features.T)
    found = np.full(len(images), np.nan)
    for index, owner in enumerate(owners):
        others = (owners == owner) & (np.arange(len(owners)) != index)
        if others.any():
            found[index] = 1 - cosine[index, others].mean()
    return found


@torch.no_grad()
def transfer(images: Tensor, classes: Sequence[int], other: nn.Module, *, batch: int = 64) -> float:
    """How often another network takes preferred images (N, 3, H, W) of classes for just these classes."""
    device = device_of(other)
    predicted = torch.cat([other(chunk.to(device)).argmax(1).cpu() for chunk in images.split(batch)])
    return float((predicted == torch.as_tensor(classes)).float().mean())
