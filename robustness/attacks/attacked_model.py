"""The model under attack: logits, input gradients and answers, averaged over its noise if it has any."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from robustness import frontends
from robustness.errors import UserError
from robustness.seeds import derive

NOISES = ("live", "frozen", "off")
_ODD, _MASK = 0x9E3779B97F4A7C15, (1 << 63) - 1


@dataclass(frozen=True)
class Answer:
    """What the model answers to a query of n images. ``value`` (n,) is the attack's loss, the mean over EOT
    samples; ``right`` (n,) the share of these samples that give the label; ``gradient`` as the images, or
    None."""

    value: Tensor
    right: Tensor
    gradient: Tensor | None


class AttackedModel:
    """A classifier as the attacks see it. Use it as a context: inside, the model is in evaluation mode, its
    parameters need no gradient (a third of a backward pass is saved) and lie in channels-last order, which
    convolutions on a CPU prefer; on exit all is as before.

    model: images (n, C, H, W) float32 in [0, 1] to logits (n, classes).
    eot_samples: samples of the noise over which each loss and gradient is averaged (expectation over
        transformation, Athalye et al. 2018), fresh ones at every step.
    eval_samples: fresh samples of the noise that decide whether an image is misclassified. Both count only
        where the model has noise and ``noise`` is ``live``; with ``frozen`` (one field, from ``seed``) or
        ``off`` it is deterministic.
    batch_size: so many rows of the network's output at once where no gradient is taken.

    Raises UserError for an unknown ``noise`` and for numbers of samples below 1.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        *,
        device: torch.device | str = "cpu",
        eot_samples: int = 10,
        eval_samples: int = 20,
        noise: str = "live",
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        if noise not in NOISES:
            raise UserError(f"noise {noise!r} is unknown; use {', '.join(NOISES)}")
        if eot_samples < 1 or eval_samples < 1:
            raise UserError(f"eot_samples {eot_samples} and eval_samples {eval_samples} must be 1 or more")
        self.model, self.device, self.noise, self.seed = model, torch.device(device), noise, seed
        self.batch_size = batch_size
        self.has_noise = isinstance(model, nn.Module) and frontends.is_stochastic(model)
        self.stochastic = self.has_noise and noise == "live"
        self.eot_samples = eot_samples if self.stochastic else 1
        self.eval_samples = eval_samples if self.stochastic else 1
        self.layout = torch.channels_last if isinstance(model, nn.Module) else torch.contiguous_format
        self.classes: int | None = None  # known after the first query
        self.graph_broken = False  # set when a loss does not depend on the images as autograd sees it
        self._exit = ExitStack()

    def __enter__(self) -> AttackedModel:
        with ExitStack() as stack:
            if isinstance(self.model, nn.Module):
                self.model.to(self.device)
                stack.enter_context(_at_rest(self.model))
            if self.has_noise and self.noise != "live":
                stack.enter_context(frontends.noise(self.model, self.noise, seed=self.seed))
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._exit.close()

    @contextmanager
    def searching(self, eot_samples: int | None) -> Iterator[None]:
        """Inside, gradients are averaged over ``eot_samples`` samples of the noise (None: as before); nothing
        changes for a model that is deterministic."""
        before = self.eot_samples
        if self.stochastic:
            self.eot_samples = eot_samples or before
        try:
            yield
        finally:
            self.eot_samples = before

    def place(self, x: Tensor) -> Tensor:
        """Images (n, C, H, W) on the model's device, in the memory layout that it runs fastest in."""
        return x.to(self.device, memory_format=self.layout)

    def keys(self, ids: Sequence[int] | np.ndarray, *purpose: str | int | float) -> Tensor:
        """(n,) int64 seeds, one per image id and purpose, whatever the batch."""
        return torch.tensor([derive(self.seed, *purpose, int(i)) for i in ids], dtype=torch.int64)

    def query(
        self, x: Tensor, loss: Callable[[Tensor], Tensor], y: Tensor, keys: Tensor, *, gradient: bool
    ) -> Answer:
        """Loss, share of right answers and input gradient at ``x`` (n, C, H, W) in [0, 1] with labels ``y``
        (n,); the loss gets logits (eot_samples·n, classes).

        keys: (n,) int64, the seeds of this query's noise.
        """
        count = len(x)
        with torch.set_grad_enabled(gradient):
            x = x.detach().requires_grad_(gradient)
            logits = self._logits(x, keys, self.eot_samples).float()
            self.classes = logits.shape[1]
            value = loss(logits)
            right = logits.detach().argmax(1).view(-1, count) == y
            if self.eot_samples > 1:
                value = value.view(self.eot_samples, count).mean(0)
        slope = self._slope(value, x) if gradient else None
        return Answer(value.detach(), right.float().mean(0), slope)

    def averaged_logits(self, x: Tensor, keys: Tensor) -> Tensor:
        """(n, classes) float32 logits; with noise the log of the mean softmax over the EOT samples.
        Differentiable."""
        logits = self._logits(x, keys, self.eot_samples).float()
        if self.eot_samples == 1:
            return logits
        return logits.log_softmax(-1).unflatten(0, (self.eot_samples, -1)).logsumexp(0) - math.log(
            self.eot_samples
        )

    def _slope(self, value: Tensor, x: Tensor) -> Tensor:
        slope = None
        if value.requires_grad:
            (slope,) = torch.autograd.grad(value.sum(), x, allow_unused=True)
        if slope is None:
            self.graph_broken = True
            slope = torch.zeros_like(x)
        return slope

    def _logits(self, x: Tensor, keys: Tensor, draws: int) -> Tensor:
        """(draws·n, classes), draw-major."""
        if not self.stochastic:
            return self.model(x)
        with frontends.sample_noise(self.model, keys), frontends.draws(self.model, draws):
            return self.model(x)

    @torch.no_grad()
    def logits(self, x: Tensor, keys: Tensor, *, draws: int | None = None) -> Tensor:
        """(draws, n, classes) float32 on the CPU; ``draws``, the samples of the noise, is
        ``eval_samples`` unless given, and 1 for a deterministic model.
        """
        draws = (draws or self.eval_samples) if self.stochastic else 1
        rows = max(1, self.batch_size // draws)
        parts = []
        for start in range(0, len(x), rows):
            part = self._logits(self.place(x[start : start + rows]), keys[start : start + rows], draws)
            parts.append(part.float().unflatten(0, (draws, -1)).cpu())
        self.classes = parts[0].shape[-1]
        return torch.cat(parts, dim=1)

    def right_share(self, x: Tensor, y: Tensor, keys: Tensor, *, draws: int | None = None) -> Tensor:
        """(n,) float32 on the CPU: the share of noise samples for which the model gives the label ``y``."""
        answers = self.logits(x, keys, draws=draws).argmax(-1)
        return (answers == y.cpu()).float().mean(0)


def advance(keys: Tensor, steps: Tensor) -> Tensor:
    """Seeds for the noise of step ``steps`` (n,) of the images with seeds ``keys``; all int64 and
    positive."""
    return (keys + steps * (_ODD & _MASK)) & _MASK


@contextmanager
def _at_rest(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, no parameter gradients and channels-last weights inside the block."""
    modes = [(module, module.training) for module in model.modules()]
    before = [(parameter, parameter.requires_grad, parameter.stride()) for parameter in model.parameters()]
    try:
        model.eval()
        for parameter, _, _ in before:
            parameter.requires_grad_(False)
        model.to(memory_format=torch.channels_last)
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, needs_gradient, stride in before:
            parameter.requires_grad_(needs_gradient)
            if parameter.stride() != stride:
                values = torch.empty_strided(
                    parameter.shape, stride, dtype=parameter.dtype, device=parameter.device
                )
                parameter.data = values.copy_(parameter.data)
