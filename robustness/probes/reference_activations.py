"""Activations of natural images: the reference for preferred and reconstructed images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from robustness.probes.layers import STAGE_ORDER, Tap, as_maps, device_of, pooled, stage_paths
from robustness.probes.result import to_numpy
from robustness.probes.targets import Canvas, Target


@dataclass(frozen=True)
class ReferenceActivations:
    """``images`` (N, 3, H, W) and their mean colour (1, 3, 1, 1). For every target's stage and channel:
    ``largest``, ``lowest`` response anywhere (C,), ``strongest`` image (C,) and ``place`` (C, 2) of the
    largest, and ``responses`` (N, C), the maximum over positions. ``last`` (N, D): features of the last
    stage, on the CPU; ``scale``: their mean pairwise distance."""

    images: Tensor
    mean: Tensor
    largest: dict[str, np.ndarray]
    lowest: dict[str, np.ndarray]
    strongest: dict[str, np.ndarray]
    place: dict[str, np.ndarray]
    responses: dict[str, np.ndarray]
    map_size: dict[str, tuple[int, int]]
    last: Tensor
    scale: float

    def live(self, stage: str) -> np.ndarray:
        """Channels whose response is not the same everywhere (C,)."""
        spread = self.largest[stage] - self.lowest[stage]
        return spread > 1e-6 * max(np.abs(self.largest[stage]).max(), np.abs(self.lowest[stage]).max())

    def sparseness(self, stage: str) -> np.ndarray:
        """How few images a channel answers to (C,): 0, to all alike, to 1, to one alone. The lifetime
        sparseness of Vinje and Gallant (Science 2000) of its largest responses above its least."""
        responses = self.responses[stage].astype(np.float64)
        above = responses - responses.min(0)
        count = len(above)
        energy = (above**2).mean(0)
        evenness = np.divide(above.mean(0) ** 2, energy, out=np.ones_like(energy), where=energy > 0)
        return (1 - evenness) / (1 - 1 / max(count, 2))

    def field(self, stage: str, unit: int, canvas: Canvas) -> Tensor:
        """The piece (3, h, w) of the strongest image around the unit's largest response, as large as the
        canvas' receptive field and inside the image."""
        image = self.images[int(self.strongest[stage][unit])]
        row, column = self.place[stage][unit]
        rows, columns = self.map_size[stage]
        down = round((row - canvas.row) * image.shape[-2] / rows)
        right = round((column - canvas.column) * image.shape[-1] / columns)
        top = int(np.clip(canvas.top + down, 0, image.shape[-2] - canvas.height))
        left = int(np.clip(canvas.left + right, 0, image.shape[-1] - canvas.width))
        return image[:, top : top + canvas.height, left : left + canvas.width]

    def distance(self, features: Tensor) -> np.ndarray:
        """The distance of features (M, D) to the nearest natural image's, in mean distances (M,)."""
        return to_numpy(torch.cdist(features, self.last).amin(1)) / max(self.scale, 1e-12)


def last_stage(model: nn.Module) -> dict[str, str]:
    """The deepest canonical stage of the model: name → path."""
    known = stage_paths(model)
    name = [stage for stage in (*STAGE_ORDER, *known) if stage in known][-1]
    return {name: known[name]} if "penultimate" not in known else {"penultimate": known["penultimate"]}


@torch.no_grad()
def observe(
    model: nn.Module, targets: Mapping[str, Target], images: Tensor, *, batch: int = 64
) -> ReferenceActivations:
    """One pass of the images (N, 3, H, W) over all targets and the last stage."""
    device = device_of(model)
    layers = {stage: target.path for stage, target in targets.items()}
    (last_path,) = last_stage(model).values()
    inputs = [stage for stage, target in targets.items() if target.reads_input]
    parts: dict[str, list[Tensor]] = {stage: [] for stage in layers}
    lows: dict[str, list[Tensor]] = {stage: [] for stage in layers}
    last, sizes = [], {}
    with Tap(model, {**layers, "last features": last_path}, inputs=inputs) as tap:
        for chunk in images.split(batch):
            for stage, value in tap(chunk.to(device)).items():
                if stage == "last features":
                    last.append(pooled(value).flatten(1).cpu())
                    continue
                maps = as_maps(value)
                sizes[stage] = (maps.shape[2], maps.shape[3])
                parts[stage].append(torch.stack([part.to(maps) for part in maps.flatten(2).max(2)]).cpu())
                lows[stage].append(maps.amin((0, 2, 3)).cpu())
    found = {stage: torch.cat(values, 1) for stage, values in parts.items()}
    strongest = {stage: values[0].argmax(0) for stage, values in found.items()}
    place = {}
    for stage, index in strongest.items():
        flat = to_numpy(found[stage][1].gather(0, index[None])[0]).astype(int)
        place[stage] = np.stack([flat // sizes[stage][1], flat % sizes[stage][1]], 1)
    features = torch.cat(last)
    distances = torch.cdist(features, features)
    return ReferenceActivations(
        images=images.cpu(),
        mean=images.mean((0, 2, 3)).view(1, -1, 1, 1).to(device),
        largest={stage: to_numpy(values[0].amax(0)) for stage, values in found.items()},
        lowest={stage: to_numpy(torch.stack(values).amin(0)) for stage, values in lows.items()},
        strongest={stage: to_numpy(index) for stage, index in strongest.items()},
        place=place,
        responses={stage: to_numpy(values[0]) for stage, values in found.items()},
        map_size=sizes,
        last=features,
        scale=float(distances.sum() / max(len(features) * (len(features) - 1), 1)),
    )


@torch.no_grad()
def last_features(model: nn.Module, images: Tensor, *, batch: int = 64) -> Tensor:
    """Features (N, D) of the last stage, on the CPU."""
    device = device_of(model)
    (path,) = last_stage(model).values()
    with Tap(model, {"last": path}) as tap:
        return torch.cat(
            [pooled(tap(chunk.to(device))["last"]).flatten(1).cpu() for chunk in images.split(batch)]
        )
