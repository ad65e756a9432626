"""Intermediate layers: the images and patches that activate each channel most; class selectivity.

The nine strongest images per channel and the projection of the maximum back to the pixels by a deconvnet are
the pictures of M. D. Zeiler and R. Fergus (ECCV 2014). Class selectivity is that of A. S. Morcos et al.
(ICLR 2018).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from robustness.probes.layers import (
    Tap,
    as_maps,
    device_of,
    fitting,
    get_module,
    probing,
    relative_depths,
    stage_paths,
)
from robustness.probes.registry import register
from robustness.probes.result import ProbeResult, Progress, Rows, finite_mean, to_numpy
from robustness.probes.targets import pick_units

NAME = "activations"


@dataclass
class Strongest:
    """The k strongest images of every channel of one layer, kept while batches go by.

    ``values`` (C, k), ``images`` (C, k) and ``places`` (C, k): the maximum over positions, the image's number
    and the flat position of the maximum; strongest first, of equal ones the first seen. ``mean_sums`` (K, C):
    the rectified mean over positions, summed per class; ``lowest`` (C,): the smallest response anywhere.
    """

    k: int
    classes: int
    values: Tensor | None = None
    images: Tensor | None = None
    places: Tensor | None = None
    mean_sums: Tensor | None = None
    lowest: Tensor | None = None
    counts: Tensor | None = None
    width: int = 1

    def add(self, features: Tensor, labels: Tensor, first: int) -> None:
        """Take in a batch: features (N, C[, H, W]), labels (N,), the number of its first image."""
        maps = as_maps(features)
        count, channels = maps.shape[:2]
        self.width = maps.shape[3]
        values, places = maps.flatten(2).max(2)
        numbers = torch.arange(first, first + count).to(values.device)[:, None].expand(count, channels)
        low = maps.amin((0, 2, 3))
        sums = torch.zeros(self.classes, channels, device=maps.device)
        sums.index_add_(0, labels, maps.clamp_min(0).mean((2, 3)))
        tally = torch.bincount(labels, minlength=self.classes)
        if self.values is None:
            self.values, self.images, self.places = values.T, numbers.T, places.T
            self.mean_sums, self.lowest, self.counts = sums, low, tally
        else:
            self.values = torch.cat([self.values, values.T], 1)
            self.images = torch.cat([self.images, numbers.T], 1)
            self.places = torch.cat([self.places, places.T], 1)
            self.mean_sums, self.counts = self.mean_sums + sums, self.counts + tally
            self.lowest = torch.minimum(self.lowest, low)
        order = self.values.argsort(dim=1, descending=True, stable=True)[:, : self.k]
        self.values, self.images, self.places = (
            torch.gather(kept, 1, order) for kept in (self.values, self.images, self.places)
        )

    def live(self) -> np.ndarray:
        """Channels whose response is not the same everywhere (C,)."""
        return to_numpy(self.values[:, 0] - self.lowest > 1e-6 * self.values.abs().max())

    def selectivity(self) -> np.ndarray:
        """(μ_max − μ_rest)/(μ_max + μ_rest) per channel in [0, 1]: μ_max is the largest mean response to a
        class, μ_rest the mean of the other classes'; responses are rectified. NaN where nothing is
        positive."""
        present = self.counts > 0
        means = to_numpy(self.mean_sums[present] / self.counts[present, None]).astype(float)
        if len(means) < 2:
            return np.full(means.shape[1], np.nan)
        largest = means.max(0)
        rest = (means.sum(0) - largest) / (len(means) - 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(largest > 0, (largest - rest) / (largest + rest), np.nan)


@torch.no_grad()
def strongest(
    model: nn.Module,
    paths: dict[str, str],
    images: Tensor,
    labels: Tensor,
    *,
    k: int = 9,
    batch: int = 64,
    progress: Progress | None = None,
) -> dict[str, Strongest]:
    """One pass over ``images`` for all layers: name → :class:`Strongest`."""
    device = device_of(model)
    found = {name: Strongest(k, int(labels.max()) + 1) for name in paths}
    with Tap(model, paths) as tap:
        for first in range(0, len(images), batch):
            chunk = images[first : first + batch].to(device)
            for name, value in tap(chunk).items():
                found[name].add(value, labels[first : first + batch].to(device), first)
            if progress:
                progress("strongest images", min(first + batch, len(images)), len(images))
    return found


@register("activations")
def run(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    seed: int = 0,
    stages: Sequence[str] | None = None,
    units: int | Sequence[int] = 6,
    top: int = 9,
    batch: int = 64,
    progress: Progress | None = None,
) -> ProbeResult:
    """Find the most activating images of every channel. ``images`` (N, 3, H, W) with ``labels`` (N,).

    ``units``: how many channels per stage are drawn (evenly spaced over the live ones), or which.

    Rows per stage (``all``; over all of its channels): ``channels``; ``dead_share`` (the same response
    everywhere in all images); ``class_selectivity`` and ``class_selectivity_sd``; ``top_purity``, the
    share of the ``top`` images that are of their commonest class; ``field_share``, the mean share of the
    image that the drawn units see (pixels whose gradient is at least a hundredth of the largest).

    Arrays, for every stage with drawn units U and the ``top`` images T: ``<stage>/units`` (U,),
    ``<stage>/images`` and ``<stage>/values`` (U, T), ``<stage>/boxes`` (U, T, 4: top, left, bottom, right;
    zeros without a gradient), ``<stage>/patches`` uint8 (U, T, 3, S, S), ``<stage>/deconvolution`` float16
    of the same shape (each of unit maximum), and for all channels ``<stage>/selectivity`` and
    ``<stage>/live``. The deconvnet is defined for ReLU networks; in others it is the plain gradient, and
    the array ``rectifiers`` is 0.
    """
    paths = stage_paths(model, stages)
    arrays: dict[str, np.ndarray] = {}
    with probing(model, seed=seed):
        rows = Rows(NAME, relative_depths(model, paths, images[:1]))
        found = strongest(model, paths, images, labels, k=top, batch=batch, progress=progress)
        for number, (stage, path) in enumerate(paths.items()):
            kept = found[stage]
            live, selectivity = kept.live(), kept.selectivity()
            rows.add(stage, "channels", len(live))
            rows.add(stage, "dead_share", 1 - live.mean())
            rows.add(stage, "class_selectivity", finite_mean(selectivity[live]))
            rows.add(stage, "class_selectivity_sd", np.nanstd(selectivity[live]) if live.any() else np.nan)
            rows.add(stage, "top_purity", _purity(to_numpy(kept.images), labels.cpu().numpy(), live))
            chosen = pick_units(stage, len(live), units, live)
            gradients, back = _look_back(model, path, kept, chosen, images, batch)
            boxes = np.stack([_box(g) for g in gradients.flatten(0, 1)]).reshape(len(chosen), -1, 4)
            area = _area(boxes) / (images.shape[-1] * images.shape[-2])
            rows.add(stage, "field_share", finite_mean(area[area > 0]))
            shown = np.array(chosen)
            arrays |= {
                f"{stage}/units": shown,
                f"{stage}/images": to_numpy(kept.images[chosen]),
                f"{stage}/values": to_numpy(kept.values[chosen]),
                f"{stage}/boxes": boxes,
                f"{stage}/live": live,
                f"{stage}/selectivity": selectivity.astype(np.float32),
            }
            source = images.cpu()[kept.images[chosen].cpu()]
            arrays[f"{stage}/patches"] = (_patches(source, boxes) * 255).round().clip(0, 255).astype(np.uint8)
            projected = _patches(back, boxes)
            size = np.abs(projected).max((2, 3, 4), keepdims=True)
            arrays[f"{stage}/deconvolution"] = (projected / np.maximum(size, 1e-30)).astype(np.float16)
            if progress:
                progress("patches and deconvnet", number + 1, len(paths))
    arrays["rectifiers"] = np.array(sum(isinstance(m, nn.ReLU) for m in model.modules()))
    return ProbeResult(NAME, rows.table(), arrays)


def _purity(top_images: np.ndarray, labels: np.ndarray, live: np.ndarray) -> float:
    """The mean share of the commonest class among the strongest images of the live channels."""
    if not live.any():
        return float("nan")
    found = labels[top_images[live]]
    classes = np.unique(labels)
    return float((found[:, :, None] == classes).mean(1).max(1).mean())


def _look_back(
    model: nn.Module,
    path: str,
    kept: Strongest,
    units: list[int],
    images: Tensor,
    batch: int,
) -> tuple[Tensor, Tensor]:
    """The gradient of each unit's maximum in its strongest images, and the deconvnet's projection, each
    (U, T, 3, H, W) on the CPU; units and images together in batches of ``batch`` images of 64 pixels."""
    device = device_of(model)
    numbers, places = kept.images[units], kept.places[units]
    channel = torch.tensor(units, device=device).repeat_interleave(numbers.shape[1])
    places = torch.stack([channel, places.flatten() // kept.width, places.flatten() % kept.width])
    step = fitting(batch, images)
    found = [
        _project(model, path, images[own.to(images.device)].to(device), place)
        for own, place in zip(numbers.flatten().split(step), places.split(step, 1), strict=True)
    ]
    shape = (*numbers.shape, *images.shape[1:])
    gradients, backs = zip(*found, strict=True)
    return torch.cat(gradients).view(shape), torch.cat(backs).view(shape)


def _project(model: nn.Module, path: str, source: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient and projection (N, 3, H, W) of the features at ``places`` (3, N: channel, row, column)."""
    from captum.attr import NeuronDeconvolution

    sample = torch.arange(len(source), device=source.device)

    def select(features: Tensor) -> Tensor:
        return as_maps(features)[sample, places[0], places[1], places[2]]

    with Tap(model, {"layer": path}) as tap, torch.enable_grad():
        leaf = source.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(select(tap(leaf)["layer"]).sum(), leaf)
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")  # captum announces its hooks
        neuron = NeuronDeconvolution(model, get_module(model, path))
        back = neuron.attribute(source.clone().requires_grad_(), select).detach().cpu()
    return gradient.cpu(), back


def _box(gradient: Tensor, share: float = 0.01) -> np.ndarray:
    """The rectangle (top, left, bottom, right) of the pixels with at least ``share`` of the largest gradient;
    zeros if there is none. ``gradient``: (3, H, W)."""
    size = gradient.abs().amax(0)
    if not size.any():
        return np.zeros(4, dtype=int)
    seen = size >= share * size.max()
    rows, columns = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _patches(images: Tensor, boxes: np.ndarray) -> np.ndarray:
    """Squares around the middles of the boxes, as large as the largest box and inside the image:
    images (U, T, 3, H, W), boxes (U, T, 4) → (U, T, 3, S, S)."""
    height, width = images.shape[-2:]
    extent = max((boxes[..., 2] - boxes[..., 0]).max(), (boxes[..., 3] - boxes[..., 1]).max())
    side = int(min(extent, height, width)) or min(height, width)
    cut = np.zeros((*images.shape[:3], side, side), dtype=np.float32)
    for unit, rank in np.ndindex(*boxes.shape[:2]):
        top, left, bottom, right = boxes[unit, rank]
        y = int(np.clip((top + bottom - side) // 2, 0, height - side))
        x = int(np.clip((left + right - side) // 2, 0, width - side))
        cut[unit, rank] = images[unit, rank, :, y : y + side, x : x + side].numpy()
    return cut
