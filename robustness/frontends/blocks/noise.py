"""The front-end's noise and its control: live, frozen, off, per sample, several draws.

The context managers work on any module tree and do nothing on a model without noise. They restore what they
changed when they end, also after an exception, and may be nested; the innermost decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from robustness.errors import UserError
from robustness.frontends.blocks.normal import normal_rows, standard_normal
from robustness.seeds import derive, numpy_generator

MODES = ("live", "frozen", "off")
VARIANCE_FLOOR = 1e-4
FANO_FLOOR = 1e-5
FROZEN_FIELDS_KEPT = 32

GROUP_BYTES = {"cpu": 2 * 2**20, "cuda": 512 * 2**20}
"""Size of the responses that are handled together, so that their noise stays in a CPU's cache, and so that
its numbers, in the making, fit into a GPU's memory."""


def group_size(responses: Tensor) -> int:
    """How many of the responses (N, C, H, W) are handled together, one at least."""
    return max(1, GROUP_BYTES[responses.device.type] // max(1, 4 * responses[:1].numel()))


Pieces = Iterator[tuple[int, slice, Tensor]]
"""Noise of a group: draw, which images of the group, numbers that fit them or broadcast over them."""


@dataclass(frozen=True)
class NoiseControl:
    """How a noise module draws: `mode` is one of MODES or ``sample``; `draws` fields for each image."""

    mode: str = "live"
    seed: int = 0
    sample_seeds: tuple[int, ...] = ()
    draws: int = 1


class Noise(nn.Module):
    """Adds noise to responses (N, C, H, W) and rectifies them again; gives (draws·N, C, H, W), draw-major.

    kind ``neuronal``: x ← scale·x + level; x ← x + N(0,1)·√(relu(x) + 1e-4); x ← (x − level)/scale
    (Dapello et al., NeurIPS 2020). kind ``gaussian``: x ← x + std·N(0,1). kind ``fano``:
    x ← x + N(0,1)·√(fano·(|x| + 1e-5)), a variance of ``fano`` times the response (Piper et al. 2025). All in
    training and in evaluation.
    rectify: end with relu, for responses that are never negative.

    Several draws in the live mode share numbers: a group of images has a pool of fields, no fewer than draws,
    and image i takes field i + s_j in draw j, with distinct shifts s_j. So the draws of one image are
    independent of each other, and so are the images of one draw, at the price of one field per image.
    """

    def __init__(
        self,
        kind: str,
        *,
        scale: float = 0.35,
        level: float = 0.07,
        std: float = 1.0,
        fano: float = 1.0,
        rectify: bool = True,
    ) -> None:
        super().__init__()
        self.kind, self.scale, self.level, self.std, self.rectify = kind, scale, level, std, rectify
        self.fano = fano
        self.control = NoiseControl()
        self._frozen: dict[tuple, Tensor] = {}

    def forward(self, responses: Tensor, *, reuse: bool = False) -> Tensor:
        """`reuse`: the responses may be overwritten if no gradient and one draw are wanted."""
        count = self.control.draws
        if self.control.mode == "off":
            noisy = responses.repeat(count, 1, 1, 1) if count > 1 else responses
            return noisy.relu() if self.rectify else noisy
        if reuse and count == 1 and not responses.requires_grad:
            _add(responses, responses.unsqueeze(0), self)
            return responses
        return _AddNoise.apply(responses, self).flatten(0, 1)

    def spread(self, responses: Tensor) -> Tensor:
        """Standard deviation of the noise at each response, in units of the response."""
        if self.kind == "gaussian":
            return torch.full((), self.std, dtype=responses.dtype, device=responses.device)
        if self.kind == "fano":
            return responses.abs().add_(FANO_FLOOR).mul_(self.fano).sqrt_()
        return self._variance(responses).sqrt_().div_(self.scale)

    def relative_slope(self, responses: Tensor) -> Tensor | None:
        """Slope of :meth:`spread` over :meth:`spread`; None if the spread is constant."""
        if self.kind == "gaussian":
            return None
        if self.kind == "fano":
            return 0.5 * responses.sign() / (responses.abs() + FANO_FLOOR)
        slope = 0.5 * self.scale / self._variance(responses)
        return slope.mul_(self.scale * responses + self.level > 0)

    def _variance(self, responses: Tensor) -> Tensor:
        return torch.add(self.level, responses, alpha=self.scale).clamp_min_(0).add_(VARIANCE_FLOOR)

    def fields(self, responses: Tensor) -> Iterator[tuple[slice, Pieces]]:
        """The noise of all draws, one group of images after the other."""
        control, count = self.control, len(responses)
        if control.mode == "sample" and len(control.sample_seeds) != count:
            raise ValueError(
                f"sample_noise has {len(control.sample_seeds)} seeds for a batch of {count} images"
            )
        seed = int(torch.randint(2**62, ())) if control.mode == "live" else 0
        size = max(control.draws, group_size(responses))
        for number, start in enumerate(range(0, count, size)):
            group = slice(start, min(start + size, count))
            if control.mode == "frozen":
                yield group, self._frozen_pieces(responses)
            elif control.mode == "sample":
                yield group, self._sample_pieces(responses, control.sample_seeds[group])
            else:
                yield group, self._pooled_pieces(responses[group], derive(seed, number))

    def _frozen_pieces(self, responses: Tensor) -> Pieces:
        for draw in range(self.control.draws):
            yield draw, slice(None), self._frozen_field(responses, self.control.seed + draw)

    def _sample_pieces(self, responses: Tensor, seeds: Sequence[int]) -> Pieces:
        shape = responses.shape[1:]
        if responses.device.type != "cpu":  # a call for each image would be what takes the time
            for draw in range(self.control.draws):
                rows = torch.tensor([derive(seed, "sample noise", draw) for seed in seeds])
                numbers = normal_rows(shape.numel(), rows.to(responses.device))
                yield draw, slice(None), numbers.view(len(seeds), *shape)
            return
        for draw in range(self.control.draws):
            for index, seed in enumerate(seeds):
                numbers = standard_normal(shape.numel(), derive(seed, "sample noise", draw), responses.device)
                yield draw, slice(index, index + 1), numbers.view(1, *shape)

    def _pooled_pieces(self, responses: Tensor, seed: int) -> Pieces:
        count, shape, draws = len(responses), responses.shape[1:], self.control.draws
        fields = max(count, draws)
        pool = standard_normal(fields * shape.numel(), seed, responses.device).view(fields, *shape)
        shifts = [0] if draws == 1 else numpy_generator(seed, "shifts").permutation(fields)[:draws].tolist()
        for draw, shift in enumerate(shifts):
            wrapped = max(0, shift + count - fields)
            yield draw, slice(0, count - wrapped), pool[shift : shift + count - wrapped]
            if wrapped:
                yield draw, slice(count - wrapped, count), pool[:wrapped]

    def _frozen_field(self, responses: Tensor, seed: int) -> Tensor:
        key = (seed, responses.shape[1:], responses.device)
        if key not in self._frozen:
            if len(self._frozen) >= FROZEN_FIELDS_KEPT:
                self._frozen.clear()
            with torch.inference_mode(mode=False):
                numbers = standard_normal(
                    responses[0].numel(), derive(seed, "frozen noise"), responses.device
                )
                self._frozen[key] = numbers.view(1, *responses.shape[1:])
        return self._frozen[key]

    def extra_repr(self) -> str:
        return f"{self.kind}, mode={self.control.mode}, rectify={self.rectify}"


def _add(responses: Tensor, noisy: Tensor, noise: Noise) -> None:
    """Write responses (N, C, H, W) with noise to `noisy` (draws, N, C, H, W), which may be their memory."""
    for group, pieces in noise.fields(responses):
        clean = responses[group]
        spread = noise.spread(clean)
        for draw, images, numbers in pieces:
            target = noisy[draw, group][images]
            part_spread = spread[images] if spread.ndim else spread
            torch.addcmul(clean[images], numbers.to(target.dtype), part_spread, out=target)
            if noise.rectify:
                target.clamp_min_(0)


class NextNoise(Noise):
    """Noise behind other noise, whose draws·N rows get one field each: (draws·N, C, H, W).

    Draw j has numbers of its own in every mode, independent of those of the part before.
    """

    def forward(self, responses: Tensor, *, reuse: bool = False) -> Tensor:
        whole, parts = self.control, []
        try:
            for draw, part in enumerate(responses.chunk(whole.draws)):
                self.control = replace(
                    whole,
                    draws=1,
                    seed=derive(whole.seed + draw, "next noise"),
                    sample_seeds=tuple(derive(seed, "next noise", draw) for seed in whole.sample_seeds),
                )
                parts.append(super().forward(part, reuse=reuse))
        finally:
            self.control = whole
        return torch.cat(parts) if len(parts) > 1 else parts[0]


class _AddNoise(torch.autograd.Function):
    """relu(x + z_j·spread(x)) for every draw j, (draws, N, C, H, W), without keeping the z_j.

    Where the result y_j is positive, z_j·spread = y_j − x, so with q = spread'/spread the gradient is
    Σ_j g_j·[y_j > 0]·(1 + (y_j − x)·q) = (1 − x·q)·Σ_j g_j·[y_j > 0] + q·Σ_j g_j·y_j.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, responses: Tensor, noise: Noise) -> Tensor:
        noisy = responses.new_empty(noise.control.draws, *responses.shape)
        _add(responses, noisy, noise)
        ctx.noise = noise
        ctx.save_for_backward(responses, noisy)
        return noisy

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        responses, noisy = ctx.saved_tensors
        result = torch.empty_like(responses)
        size = group_size(responses)
        for start in range(0, len(responses), size):
            group = slice(start, start + size)
            _backward(ctx.noise, responses[group], noisy[:, group], gradient[:, group], result[group])
        return result, None


def _backward(noise: Noise, responses: Tensor, noisy: Tensor, gradient: Tensor, result: Tensor) -> None:
    result.zero_()
    weighted, positive = torch.zeros_like(result), torch.empty_like(result)
    slope = noise.relative_slope(responses)
    for draw_gradient, draw in zip(gradient, noisy, strict=True):
        if noise.rectify:
            result.addcmul_(draw_gradient, torch.gt(draw, 0, out=positive))
        else:
            result.add_(draw_gradient)
        if slope is not None:
            weighted.addcmul_(draw_gradient, draw)
    if slope is not None:
        torch.addcmul(result, slope, weighted.sub_(responses * result), out=result)


def is_stochastic(model: nn.Module) -> bool:
    """Whether the model has a noise module, whatever its mode is at the moment."""
    return any(isinstance(module, Noise) for module in model.modules())


@contextmanager
def noise(model: nn.Module, mode: str, *, seed: int = 0) -> Iterator[None]:
    """Set the noise ``live`` (new at every call), ``frozen`` (one field from `seed`, the same for all samples
    and calls) or ``off`` inside the block.

    Live noise follows torch's global generator, so torch.manual_seed repeats it.
    """
    if mode not in MODES:
        raise UserError(f"noise mode {mode!r} is unknown; use {', '.join(MODES)}")
    with _controlled(model, mode=mode, seed=seed, sample_seeds=()):
        yield


@contextmanager
def sample_noise(model: nn.Module, seeds: Sequence[int] | Tensor) -> Iterator[None]:
    """Inside the block, row i of a batch has the noise of its own generator, seeded by seeds[i].

    So a result does not depend on the batch that a sample is in. A batch of another length raises ValueError.
    """
    listed = seeds.tolist() if isinstance(seeds, Tensor) else seeds  # one copy from a GPU, not one a seed
    with _controlled(model, mode="sample", sample_seeds=tuple(map(int, listed))):
        yield


@contextmanager
def draws(model: nn.Module, count: int) -> Iterator[None]:
    """Inside the block the filters run once for an image and the noise is drawn `count` times.

    The network's output has count·N rows, draw-major: ``logits.view(count, N, -1)``. Draw j of the frozen
    mode has the field of seed + j; of :func:`sample_noise` that of (sample seed, j). With the noise off the
    draws are equal. A deterministic model keeps N rows.
    """
    if count < 1:
        raise ValueError(f"draws needs at least one draw, not {count}")
    with _controlled(model, draws=count):
        yield


@contextmanager
def _controlled(model: nn.Module, **changes: object) -> Iterator[None]:
    modules = [module for module in model.modules() if isinstance(module, Noise)]
    before = [module.control for module in modules]
    try:
        for module in modules:
            module.control = replace(module.control, **changes)
        yield
    finally:
        for module, control in zip(modules, before, strict=True):
            module.control = control
