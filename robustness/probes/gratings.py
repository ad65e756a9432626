"""Drifting sine gratings, and what a network's layers answer to them at the centre of their maps.

A grating is grey (0.5) outside its aperture and achromatic; it drifts through :data:`PHASES` phases, over
which a unit's responses give F0, their mean, and F1, the amplitude at the frequency of the drift.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from robustness.probes.layers import Tap, as_maps, device_of, fitting
from robustness.seeds import torch_generator

PHASES = 8
"""Steps of 45°, as in the stimuli of Marques et al. (2021)."""
GREY = 0.5
CENTRING_IMAGES = 16
BATCH = 64
"""Images of 64 × 64 pixels at a time."""


@dataclass(frozen=True)
class Gratings:
    """Gratings of one size of field, float64 arrays (n,), or numbers where all gratings agree.

    orientation: radians, the direction of the wave vector (0: along the columns, π/2: along the rows).
    frequency: cycles per pixel. radius: of the aperture, pixels; infinite: the whole field. contrast: [0, 1].
    """

    orientation: np.ndarray
    frequency: np.ndarray
    radius: np.ndarray | float = np.inf
    contrast: np.ndarray | float = 1.0

    def __len__(self) -> int:
        return len(self.orientation)

    def images(self, side: int, centre: tuple[float, float], part: slice) -> Tensor:
        """Some of the gratings at all phases: (n, PHASES, side, side) in [0, 1], float32.

        ``centre``: row and column, pixels, around which the aperture lies and the wave has its phase. The
        aperture's edge is one pixel wide.
        """
        every = np.broadcast_arrays(self.orientation, self.frequency, self.radius, self.contrast)
        columns = (torch.as_tensor(each[part].copy(), dtype=torch.float32) for each in every)
        angle, frequency, radius, contrast = (each[:, None, None] for each in columns)
        axis = torch.arange(side, dtype=torch.float32)
        y, x = torch.meshgrid(axis - centre[0], axis - centre[1], indexing="ij")
        along = 2 * torch.pi * frequency * (x * angle.cos() + y * angle.sin())
        window = 0.5 * contrast * (radius + 0.5 - torch.hypot(x, y)).clamp(0, 1)
        phase = 2 * torch.pi * torch.arange(PHASES)[:, None, None] / PHASES
        even, odd = window * along.cos(), window * along.sin()
        return GREY + even[:, None] * phase.cos() + odd[:, None] * phase.sin()


def field_centre(model: nn.Module, layer: str, side: int, channels: int, *, seed: int) -> tuple[float, float]:
    """Row and column, pixels, that the unit at the centre of a layer's map sees, in a field of ``side``².

    It is the centre of mass of the squared gradients of the unit's responses, all channels together, on white
    noise; the middle of the field if no channel answers.
    """
    generator = torch_generator(seed, "tuning", "centre")
    noise = torch.rand(CENTRING_IMAGES, channels, side, side, generator=generator).to(device_of(model))
    noise.requires_grad_()
    with torch.enable_grad(), Tap(model, {"layer": layer}) as tap:
        units = _central(tap(noise)["layer"])
        # Random signs: the squares of the sum's gradients are, on average, the sum of the squares.
        signs = 2 * torch.randint(2, units.shape, generator=generator).to(units) - 1
        (gradient,) = torch.autograd.grad((signs * units).sum(), noise)
    energy = gradient.double().square().sum((0, 1)).cpu()
    if not energy.sum() > 0:
        return (side - 1) / 2, (side - 1) / 2
    axis = torch.arange(side, dtype=torch.float64)
    share = energy / energy.sum()
    return float(share.sum(1) @ axis), float(share.sum(0) @ axis)


@torch.no_grad()
def responses(
    model: nn.Module,
    layers: Mapping[str, str],
    gratings: Gratings,
    *,
    side: int,
    centre: tuple[float, float],
    channels: int,
    told: Callable[[int], None],
) -> dict[str, np.ndarray]:
    """What the central units of the layers answer: name → (n, PHASES, units), float64.

    ``told`` is called with the number of gratings shown so far.
    """
    device, parts = device_of(model), {name: [] for name in layers}
    step = max(1, fitting(BATCH, torch.empty(0, side, side)) // PHASES)
    with Tap(model, layers) as tap:
        for start in range(0, len(gratings), step):
            shown = gratings.images(side, centre, slice(start, start + step)).to(device)
            images = shown.flatten(0, 1)[:, None].expand(-1, channels, -1, -1)
            for name, value in tap(images).items():
                parts[name].append(_central(value).double().cpu().unflatten(0, (-1, PHASES)))
            told(min(start + step, len(gratings)))
    return {name: torch.cat(values).numpy() for name, values in parts.items()}


def _central(output: Tensor) -> Tensor:
    """The units at the centre of the maps: (N, units)."""
    maps = as_maps(output)
    return maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]
