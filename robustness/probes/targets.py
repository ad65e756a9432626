"""The units that a probe visualises, before their rectification, and their receptive fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from robustness import seeds
from robustness.probes.layers import (
    LOGITS,
    Tap,
    as_maps,
    check_unit,
    device_of,
)

RECTIFIERS = (nn.ReLU, nn.ReLU6)
_SAME_CHANNELS = (nn.MaxPool2d, nn.LocalResponseNorm, nn.Dropout, nn.Identity)


@dataclass(frozen=True)
class Target:
    """A layer whose units are visualised. ``reads_input``: the input of the module at ``path`` instead of its
    output (a ReLU's input has a gradient where its output has none)."""

    stage: str
    path: str
    reads_input: bool = False

    def tap(self, model: nn.Module) -> Tap:
        """Calling the tap gives ``{stage: tensor}``."""
        return Tap(model, {self.stage: self.path}, inputs=(self.stage,) if self.reads_input else ())


@torch.no_grad()
def before_rectification(model: nn.Module, stage: str, path: str, image: Tensor) -> Target:
    """The target for a stage: the input of the ReLU that the stage's output comes out of, if there is one.

    Followed backwards are modules that keep channels apart (pooling, dropout, local normalisation), as long
    as each one's input is the other's output; if no ReLU is met on this way, the stage's own output is the
    target. ``image``: (1, 3, H, W). The logits are their own target.
    """
    if stage == LOGITS or not path:
        return Target(stage, "")
    calls: list[tuple[str, nn.Module, int, int]] = []
    keep: list[Tensor] = []  # alive, so that no identity is used twice

    def remember(name: str):
        def hook(module: nn.Module, args: tuple, output: object) -> None:
            if isinstance(output, Tensor) and args and isinstance(args[0], Tensor):
                keep.extend((args[0], output))
                calls.append((name, module, id(args[0]), id(output)))

        return hook

    handles = [m.register_forward_hook(remember(name)) for name, m in model.named_modules() if name]
    try:
        with Tap(model, {stage: path}) as tap:
            wanted = id(tap(image.to(device_of(model)))[stage])
    finally:
        for handle in handles:
            handle.remove()
    for name, module, source, result in reversed(calls):
        if result != wanted or any(True for _ in module.children()):
            continue
        if isinstance(module, RECTIFIERS):
            return Target(stage, name, reads_input=True)
        if not (isinstance(module, _SAME_CHANNELS) or type(module).__name__ == "LocalResponseNorm"):
            break
        wanted = source
    return Target(stage, path)


def pick_units(
    layer: str, channels: int, wanted: int | Sequence[int], live: np.ndarray | None = None
) -> list[int]:
    """The units to visualise: the given ones, or ``wanted`` of them, evenly spaced over the live ones (over
    all, if none is live). Raises UserError for a unit that the layer does not have."""
    if not isinstance(wanted, int):
        return [check_unit(layer, unit, channels) for unit in wanted]
    candidates = np.flatnonzero(live) if live is not None and live.any() else np.arange(channels)
    places = np.linspace(0, len(candidates) - 1, min(wanted, len(candidates))).round().astype(int)
    return [int(unit) for unit in candidates[np.unique(places)]]


def pick_by_selectivity(
    layer: str, selectivity: np.ndarray, wanted: int, live: np.ndarray, *, seed: int
) -> list[int]:
    """``wanted`` live units (of all, if none is live): the most selective, the median, then random ones.

    ``selectivity`` (C,): a number for each unit.
    """
    candidates = np.flatnonzero(live) if live.any() else np.arange(len(live))
    ranked = candidates[np.argsort(-selectivity[candidates], kind="stable")]
    drawn = seeds.numpy_generator(seed, "units", layer).permutation(ranked)
    chosen = dict.fromkeys([ranked[0], ranked[len(ranked) // 2], *drawn])
    return [int(unit) for unit in chosen][:wanted]


@dataclass(frozen=True)
class Canvas:
    """The receptive field of a unit in the middle of a map.

    ``top``, ``left``, ``height``, ``width``: its receptive field in the image; ``row``, ``column``: the
    unit's place in the map of the whole image. If ``cropped``, the network gives the same response when it
    is shown a piece of the image alone, pixels ``crop_top`` … of ``crop_height`` × ``crop_width``, and the
    unit is then at (``crop_row``, ``crop_column``): less work. Otherwise the field is put into a whole image.
    """

    image_height: int
    image_width: int
    top: int
    left: int
    height: int
    width: int
    row: int
    column: int
    cropped: bool = False
    crop_top: int = 0
    crop_left: int = 0
    crop_height: int = 0
    crop_width: int = 0
    crop_row: int = 0
    crop_column: int = 0

    def network_input(self, field: Tensor, background: Tensor) -> Tensor:
        """Images for the network from receptive fields (N, 3, height, width) on ``background`` (1, 3, 1,
        1)."""
        if self.cropped:
            return self._pad(
                field, background, self.crop_top, self.crop_left, self.crop_height, self.crop_width
            )
        return self.whole_image(field, background)

    def whole_image(self, field: Tensor, background: Tensor) -> Tensor:
        """(N, 3, height, width) → (N, 3, image_height, image_width)."""
        return self._pad(field, background, 0, 0, self.image_height, self.image_width)

    def _pad(self, field: Tensor, background: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
        if field.shape[-2:] == (height, width):
            return field
        before, above = self.left - left, self.top - top
        sides = (before, width - before - self.width, above, height - above - self.height)
        return nn.functional.pad(field - background, sides) + background

    def field(self, images: Tensor) -> Tensor:
        """The receptive field cut out of whole images."""
        return images[..., self.top : self.top + self.height, self.left : self.left + self.width]

    def responses(self, maps: Tensor) -> Tensor:
        """The responses of all channels (N, C) at the unit's place, of maps made from
        :meth:`network_input`."""
        row, column = (self.crop_row, self.crop_column) if self.cropped else (self.row, self.column)
        return as_maps(maps)[:, :, row, column]

    def whole_responses(self, maps: Tensor) -> Tensor:
        """The same, of maps made from whole images."""
        return as_maps(maps)[:, :, self.row, self.column]


def find_canvas(
    model: nn.Module, target: Target, image_size: tuple[int, int], *, crop: bool = True
) -> Canvas:
    """The canvas of the unit in the middle of the target's map.

    The receptive field is the smallest rectangle outside of which the gradient of all channels is nothing
    (three images of seeded noise). Call it on a model in :func:`~robustness.probes.layers.probing`.
    """
    height, width = image_size
    noise = torch.rand(3, 3, height, width, generator=seeds.torch_generator(0, "canvas")).to(device_of(model))
    with target.tap(model) as tap, torch.enable_grad():
        images = noise.clone().requires_grad_()
        maps = as_maps(tap(images)[target.stage])
        row, column = maps.shape[2] // 2, maps.shape[3] // 2
        responses = maps[:, :, row, column]
        weights = torch.randn(maps.shape[1], generator=seeds.torch_generator(1, "canvas")).to(maps)
        (gradient,) = torch.autograd.grad((responses * weights).sum(), images, allow_unused=True)
    if gradient is None or not gradient.any():
        return Canvas(height, width, 0, 0, height, width, row, column)
    seen = gradient.abs().amax((0, 1))
    seen = seen > 1e-6 * seen.max()
    rows, columns = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
    top, left = int(rows[0]), int(columns[0])
    canvas = Canvas(
        height, width, top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left, row, column
    )
    if not crop or canvas.height * canvas.width > 0.4 * height * width:
        return canvas
    return _cropped(model, target, canvas, maps.shape[2:], noise, responses.detach()) or canvas


@torch.no_grad()
def _cropped(
    model: nn.Module,
    target: Target,
    canvas: Canvas,
    map_size: Sequence[int],
    images: Tensor,
    expected: Tensor,
) -> Canvas | None:
    """The canvas with a crop of the image that gives the expected responses, or None if there is none."""
    steps = [max(1, round(extent / cells)) for extent, cells in zip(images.shape[-2:], map_size, strict=True)]
    # A margin keeps the zero padding of the network's borders out of the field.
    starts, ends, places = [], [], []
    for begin, extent, limit, step, cell in (
        (canvas.top, canvas.height, canvas.image_height, steps[0], canvas.row),
        (canvas.left, canvas.width, canvas.image_width, steps[1], canvas.column),
    ):
        start = max(0, (begin - extent // 2) // step * step)
        end = min(limit, begin + extent + extent // 2 + step)
        starts.append(start)
        ends.append(end)
        places.append(cell - start // step)
    crop = Canvas(
        **{
            **canvas.__dict__,
            "cropped": True,
            "crop_top": starts[0],
            "crop_left": starts[1],
            "crop_height": ends[0] - starts[0],
            "crop_width": ends[1] - starts[1],
            "crop_row": places[0],
            "crop_column": places[1],
        }
    )
    piece = images[..., starts[0] : ends[0], starts[1] : ends[1]]
    try:
        with target.tap(model) as tap:
            found = crop.responses(tap(piece)[target.stage])
    except (RuntimeError, ValueError, IndexError):  # a layer that is made for one image size
        return None
    close = torch.allclose(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    return crop if close else None
