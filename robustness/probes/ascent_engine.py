"""Gradient ascent for a whole batch of (unit, regulariser, start), equal to doing one after the other.

The loss is the sum of the targeted responses, so every sample has its own gradient; noise, rates, norms,
transforms and the best image so far belong to each sample. The forward pass ends at the target layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustness import seeds
from robustness.errors import UserError
from robustness.probes.fourier import NaturalStatistics, RandomTransforms, from_coefficients, from_phase
from robustness.probes.layers import device_of
from robustness.probes.regularisers import FULL_SCALE, PixelOperators, Regulariser, published_rate
from robustness.probes.targets import Canvas, Target

RATES = ("normalised", "published")


@dataclass(frozen=True)
class Job:
    """One ascent: the channel of the target's unit, the setting, and the number of its start.

    ``start_image``: (3, h, w) in [0, 1] on the canvas' receptive field; None starts at the mean colour with
    Gaussian noise of its own generator (seed, stage, unit, start), the same for all regularisers.
    """

    unit: int
    regulariser: Regulariser
    start: int = 0
    start_image: Tensor | None = None


@dataclass(frozen=True)
class Ascended:
    """``images`` (B, 3, h, w) in [0, 1]: the receptive field at the largest response met; ``responses`` (B,);
    ``trace`` (B, steps): the response at each step (of the moved image in the Fourier spaces);
    ``moved`` (B,): whether there was ever a gradient."""

    images: Tensor
    responses: Tensor
    trace: Tensor
    moved: Tensor


def ascend(
    model: nn.Module,
    target: Target,
    canvas: Canvas,
    jobs: Sequence[Job],
    statistics: NaturalStatistics,
    *,
    seed: int = 0,
    iterations: int = 64,
    rate: str = "normalised",
    step: float = 0.05,
    start_noise: float = 10 / FULL_SCALE,
) -> Ascended:
    """Run all jobs at once. Call it on a model in :func:`~robustness.probes.layers.probing`.

    ``statistics`` are of natural images on the canvas' receptive field. ``rate`` in the pixel space:
    ``published`` (converted from 0–255, see :mod:`~robustness.probes.regularisers`) or ``normalised``: each
    step moves the pixels by a root mean square of ``step`` (in [0, 1] units), so that few iterations do for
    any network. ``start_noise``: standard deviation, in [0, 1] units.

    Raises UserError for an unknown rate, or for ``published`` where nothing is published.
    """
    if rate not in RATES:
        raise UserError(f"ascent: rate {rate!r} is unknown; use {' or '.join(RATES)}")
    if rate == "published":
        for job in jobs:
            if job.regulariser.space == "pixels":
                published_rate(job.regulariser, torch.ones(1))
    spaces = [
        space(model, target, canvas, jobs, statistics, seed, iterations, rate, step, start_noise)
        for space in (_Pixels, _Fourier, _Spectrum)
    ]
    spaces = [space for space in spaces if space.members]
    members = [index for space in spaces for index in space.members]
    units = torch.tensor([jobs[index].unit for index in members], device=device_of(model))
    sample = torch.arange(len(members), device=units.device)
    sizes = [len(space.members) for space in spaces]

    trace = []
    with target.tap(model) as tap:

        def respond(fields: list[Tensor]) -> Tensor:
            shown = canvas.network_input(torch.cat(fields), statistics.mean)
            return canvas.responses(tap(shown)[target.stage])[sample, units]

        for count in range(iterations):
            with torch.enable_grad():
                leaves = [space.leaf() for space in spaces]
                responses = respond(
                    [space.shown(leaf, count) for space, leaf in zip(spaces, leaves, strict=True)]
                )
                gradients = torch.autograd.grad(responses.sum(), leaves)
            values = responses.detach().split(sizes)
            trace.append(responses.detach())
            for space, value, gradient in zip(spaces, values, gradients, strict=True):
                space.update(value, gradient, count)
            # Responses under transforms differ from the plain image's, which is evaluated now and then.
            if (count + 1) % 8 == 0 or count + 1 == iterations:
                with torch.no_grad():
                    values = respond([space.still() for space in spaces]).split(sizes)
                for space, value in zip(spaces, values, strict=True):
                    space.remember(space.still(), value)

    order = torch.tensor(members, device=units.device).argsort()
    return Ascended(
        images=torch.cat([space.best for space in spaces])[order],
        responses=torch.cat([space.best_value for space in spaces])[order],
        trace=torch.stack(trace, 1)[order],
        moved=torch.cat([space.moved for space in spaces])[order],
    )


class _Space:
    """The part of a batch whose images are described in one way. Subclasses give the description."""

    name: str

    def __init__(
        self, model, target, canvas, jobs, statistics, seed, iterations, rate, step, start_noise
    ) -> None:
        self.members = [index for index, job in enumerate(jobs) if job.regulariser.space == self.name]
        self.jobs = [jobs[index] for index in self.members]
        self.canvas, self.statistics, self.device = canvas, statistics, device_of(model)
        self.height, self.width = canvas.height, canvas.width
        self.ids = [(target.stage, job.unit, job.start) for job in self.jobs]
        self.seed, self.iterations, self.rate, self.step = seed, iterations, rate, step
        count = len(self.members)
        self.best = torch.zeros(count, 3, self.height, self.width, device=self.device)
        self.best_value = torch.full((count,), -torch.inf, device=self.device)
        self.moved = torch.zeros(count, dtype=torch.bool, device=self.device)
        if self.name != "pixels" and any(job.start_image is not None for job in self.jobs):
            raise UserError(f"ascent: a start image needs a regulariser on pixels, not on {self.name!r}")
        if count:
            self.begin(start_noise)

    def draw(self, *shape: int) -> Tensor:
        """Standard normal numbers (B, *shape), a generator for each job."""
        generators = [seeds.torch_generator(self.seed, "start", *own) for own in self.ids]
        drawn = [torch.randn(*shape, generator=generator) for generator in generators]
        return torch.stack(drawn).to(self.device)

    def remember(self, images: Tensor, values: Tensor) -> None:
        """Keep the images that beat the best so far."""
        better = values > self.best_value
        self.best = torch.where(better.view(-1, 1, 1, 1), images, self.best)
        self.best_value = torch.where(better, values, self.best_value)


class _Pixels(_Space):
    """x = mean colour + d, with Yosinski's operators on d."""

    name = "pixels"

    def begin(self, start_noise: float) -> None:
        self.d = start_noise * self.draw(3, self.height, self.width)
        for index, job in enumerate(self.jobs):
            if job.start_image is not None:
                self.d[index] = job.start_image.to(self.device) - self.statistics.mean[0]
        self.d = self._clipped(self.d)
        self.operators = PixelOperators([job.regulariser for job in self.jobs], self.device)

    def _clipped(self, d: Tensor) -> Tensor:
        return (self.statistics.mean + d).clamp(0, 1) - self.statistics.mean

    def leaf(self) -> Tensor:
        return self.d.detach().requires_grad_()

    def shown(self, leaf: Tensor, step: int) -> Tensor:
        return self.statistics.mean + leaf

    def still(self) -> Tensor:
        return self.statistics.mean + self.d

    def update(self, values: Tensor, gradient: Tensor, step: int) -> None:
        self.remember(self.still(), values)
        norm = gradient.square().flatten(1).sum(1).sqrt()
        self.moved |= norm > 0
        if self.rate == "published":
            rates = torch.cat(
                [published_rate(job.regulariser, n[None]) for job, n in zip(self.jobs, norm, strict=True)]
            )
        else:
            rates = self.step * gradient[0].numel() ** 0.5 / norm.clamp_min(1e-30)
        d = self.operators(self.d + rates.view(-1, 1, 1, 1) * gradient, gradient, step)
        self.d = self._clipped(d)


class Adam:
    """Adam, which is a sample's own as it is, on a plain tensor (D. Kingma, J. Ba, ICLR 2015)."""

    def __init__(self, rate: float, betas: tuple[float, float] = (0.9, 0.999)) -> None:
        self.rate, self.betas, self.count = rate, betas, 0
        self.first = self.second = 0.0

    def step(self, value: Tensor, gradient: Tensor, scale: float = 1.0) -> Tensor:
        """``value`` after one step up the gradient."""
        self.count += 1
        one, two = self.betas
        self.first = one * self.first + (1 - one) * gradient
        self.second = two * self.second + (1 - two) * gradient.square()
        mean = self.first / (1 - one**self.count)
        spread = (self.second / (1 - two**self.count)).sqrt()
        return value + scale * self.rate * mean / (spread + 1e-12)


class _Parametrised(_Space):
    """Images parametrised by :meth:`decode`, under random transforms, optimised by Adam."""

    adam_rate: float

    def begin(self, start_noise: float) -> None:
        self.parameters = self.first_parameters()
        self.adam = Adam(self.adam_rate)
        self.transforms = RandomTransforms.draw(self.seed, self.ids, self.iterations)

    def leaf(self) -> Tensor:
        return self.parameters.detach().requires_grad_()

    def shown(self, leaf: Tensor, step: int) -> Tensor:
        return self.transforms.apply(self.decode(leaf), step).clamp(0, 1)

    def still(self) -> Tensor:
        return self.decode(self.parameters).clamp(0, 1)

    def update(self, values: Tensor, gradient: Tensor, step: int) -> None:
        norm = gradient.square().flatten(1).sum(1).sqrt().view(-1, *[1] * (gradient.dim() - 1))
        self.moved |= norm.flatten() > 0
        # A unit's scale must not matter against Adam's epsilon.
        self.parameters = self.adam.step(self.parameters, gradient / norm.clamp_min(1e-30))


class _Fourier(_Parametrised):
    name = "fourier"
    adam_rate = 0.05

    def first_parameters(self) -> Tensor:
        return 0.01 * self.draw(3, self.height, self.width // 2 + 1, 2)

    def decode(self, parameters: Tensor) -> Tensor:
        return from_coefficients(parameters, self.width, self.statistics)


class _Spectrum(_Parametrised):
    name = "spectrum"
    adam_rate = 0.2

    def first_parameters(self) -> Tensor:
        return torch.pi * self.draw(3, self.height, self.width // 2 + 1)

    def decode(self, parameters: Tensor) -> Tensor:
        return from_phase(parameters, self.width, self.statistics)
