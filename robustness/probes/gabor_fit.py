"""Least-squares fits of Gabor functions to many filters at once.

The function has nine parameters: centre (x0, y0), orientation θ, frequency f, the two widths σ_u (across
the stripes) and σ_v (along them), the amplitudes of the even and odd phase, and an offset::

    g(x, y) = exp(−u²/2σ_u² − v²/2σ_v²) · (a·cos 2πfu + b·sin 2πfu) + c
    u = (x − x0)·cos θ + (y − y0)·sin θ,   v = −(x − x0)·sin θ + (y − y0)·cos θ

(J. P. Jones and L. A. Palmer, J. Neurophysiol. 58, 1987.) Starts come from the filter's spectrum; the best
of them are refined by Levenberg-Marquardt steps, all filters and starts in one batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from robustness import seeds

PARAMETERS = 9
_X0, _Y0, _THETA, _F, _LOG_U, _LOG_V, _A, _B, _C = range(PARAMETERS)


@dataclass(frozen=True)
class GaborFit:
    """``parameters`` (n, 9) float64: x0, y0, θ (radians, direction of the wave vector, [0, π)), f (cycles a
    pixel), log σ_u, log σ_v, a, b, c; positions in pixels from the filter's centre. ``fitted`` (n, k, k).
    ``r2`` (n,): 1 − SSE/SST; NaN for a constant filter. ``adjusted_r2``: the same for nine parameters,
    1 − (1 − R²)(k² − 1)/(k² − 10); NaN if the filter has no more than ten pixels."""

    parameters: np.ndarray
    fitted: np.ndarray
    r2: np.ndarray
    adjusted_r2: np.ndarray


def fit(filters: np.ndarray, *, starts: int = 4, iterations: int = 40) -> GaborFit:
    """Fit a Gabor function to each filter.

    ``filters``: (n, k, k). ``starts``: how many of the screened starting points are refined, for each filter.
    """
    target = torch.as_tensor(np.ascontiguousarray(filters), dtype=torch.float64)
    n, height, width = target.shape
    scale = target.abs().amax((1, 2), keepdim=True).clamp_min(1e-30)
    flat = (target / scale).flatten(1)
    grid = _grid(height, width)
    total = ((flat - flat.mean(1, keepdim=True)) ** 2).sum(1)

    candidates = _candidates(target / scale)
    errors = torch.stack(
        [_linear_solve(candidates[:, s], flat, grid)[1] for s in range(candidates.shape[1])], 1
    )
    chosen = errors.argsort(dim=1, stable=True)[:, : min(starts, candidates.shape[1])]
    start = torch.gather(candidates, 1, chosen[..., None].expand(-1, -1, 6))
    repeats = start.shape[1]
    goal = flat.repeat_interleave(repeats, 0)
    start = start.flatten(0, 1)
    linear, _ = _linear_solve(start, goal, grid)
    parameters, error = _refine(torch.cat([start, linear], 1), goal, grid, max(height, width), iterations)

    best = error.view(n, repeats).argmin(1)
    picked = torch.arange(n) * repeats + best
    parameters, error = parameters[picked], error[picked]
    r2 = torch.where(total > 1e-20, 1 - error / total.clamp_min(1e-20), torch.nan)
    pixels = height * width
    correction = (pixels - 1) / (pixels - PARAMETERS - 1) if pixels > PARAMETERS + 1 else float("nan")
    fitted = _value(parameters, grid).view(n, height, width) * scale
    parameters = _canonical(parameters)
    parameters[:, _A:] *= scale.view(-1, 1)
    return GaborFit(
        parameters=parameters.numpy(),
        fitted=fitted.numpy(),
        r2=r2.numpy(),
        adjusted_r2=(1 - (1 - r2) * correction).numpy(),
    )


@lru_cache(maxsize=32)
def random_filter_r2(size: int, *, seed: int = 0) -> float:
    """The mean R² of the same fit to filters of Gaussian noise, size × size: what nine parameters explain of
    nothing. Sixty-four filters, sixteen of a large size, for which R² varies little."""
    count = 64 if size < 15 else 16
    draws = seeds.numpy_generator(seed, "gabor null", size).standard_normal((count, size, size))
    return float(np.nanmean(fit(draws).r2))


def _grid(height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float64) - (height - 1) / 2,
        torch.arange(width, dtype=torch.float64) - (width - 1) / 2,
        indexing="ij",
    )
    return torch.stack([x.flatten(), y.flatten()])


def _candidates(filters: Tensor, peaks: int = 4) -> Tensor:
    """Starting points (n, S, 6): the strongest peaks of the spectrum × widths × two centres, and blobs."""
    n, height, width = filters.shape
    size = max(height, width)
    centred = filters - filters.mean((1, 2), keepdim=True)
    padded = max(32, 2 * size)
    power = torch.fft.fft2(centred, s=(padded, padded)).abs()
    fy, fx = torch.meshgrid(torch.fft.fftfreq(padded), torch.fft.fftfreq(padded), indexing="ij")
    half = ((fy > 0) | ((fy == 0) & (fx > 0))).flatten()
    f, theta = torch.hypot(fx, fy).flatten().double(), torch.atan2(fy, fx).flatten().double()
    values = power.flatten(1).masked_fill(~half, -1.0)
    found = []
    for _ in range(peaks):  # each peak, then nothing within one resolution step of it
        index = values.argmax(1)
        found.append(torch.stack([theta[index], f[index]], 1))
        near = (fx.flatten()[None] - fx.flatten()[index, None]).abs() < 1 / size
        near &= (fy.flatten()[None] - fy.flatten()[index, None]).abs() < 1 / size
        values = values.masked_fill(near, -1.0)
    waves = torch.stack(found, 1)
    waves = torch.cat(
        [waves, torch.stack([waves[:, 0, 0], torch.full_like(waves[:, 0, 1], 0.02)], 1)[:, None]], 1
    )
    x, y = _grid(height, width)
    energy = centred.flatten(1) ** 2
    energy = energy / energy.sum(1, keepdim=True).clamp_min(1e-30)
    centroid = torch.stack([energy @ x, energy @ y], 1)
    starts = []
    for wave in waves.unbind(1):
        for centre in (centroid, torch.zeros_like(centroid)):
            for width_u, width_v in ((0.12, 0.12), (0.25, 0.25), (0.6, 0.6), (0.15, 0.35)):
                logs = torch.tensor([width_u * size, width_v * size], dtype=torch.float64).log().expand(n, 2)
                starts.append(torch.cat([centre, wave, logs], 1))
    return torch.stack(starts, 1)


def _basis(nonlinear: Tensor, grid: Tensor) -> tuple[Tensor, ...]:
    """Envelope, cosine and sine parts, and the rotated coordinates, each (n, pixels)."""
    x = grid[0] - nonlinear[:, _X0, None]
    y = grid[1] - nonlinear[:, _Y0, None]
    cos, sin = nonlinear[:, _THETA, None].cos(), nonlinear[:, _THETA, None].sin()
    u, v = x * cos + y * sin, -x * sin + y * cos
    precision_u = (-2 * nonlinear[:, _LOG_U, None]).exp()
    precision_v = (-2 * nonlinear[:, _LOG_V, None]).exp()
    envelope = (-0.5 * (u * u * precision_u + v * v * precision_v)).exp()
    phase = 2 * torch.pi * nonlinear[:, _F, None] * u
    return envelope, phase, u, v, precision_u, precision_v


def _linear_solve(nonlinear: Tensor, goal: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """The best amplitudes and offset (n, 3) for given shapes, and the squared error (n,)."""
    envelope, phase, *_ = _basis(nonlinear, grid)
    columns = torch.stack([envelope * phase.cos(), envelope * phase.sin(), torch.ones_like(envelope)], 2)
    normal = columns.transpose(1, 2) @ columns + 1e-8 * torch.eye(3, dtype=torch.float64)
    linear = torch.linalg.solve(normal, (columns.transpose(1, 2) @ goal[..., None])).squeeze(2)
    error = ((columns @ linear[..., None]).squeeze(2) - goal).square().sum(1)
    return linear, error


def _value(parameters: Tensor, grid: Tensor) -> Tensor:
    envelope, phase, *_ = _basis(parameters, grid)
    wave = parameters[:, _A, None] * phase.cos() + parameters[:, _B, None] * phase.sin()
    return envelope * wave + parameters[:, _C, None]


def _jacobian(parameters: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """The fitted values (n, pixels) and their derivatives (n, pixels, 9)."""
    envelope, phase, u, v, precision_u, precision_v = _basis(parameters, grid)
    a, b = parameters[:, _A, None], parameters[:, _B, None]
    cos_p, sin_p = phase.cos(), phase.sin()
    wave = a * cos_p + b * sin_p
    slope = (b * cos_p - a * sin_p) * envelope  # derivative with respect to the phase
    per_u = -u * precision_u * envelope * wave + 2 * torch.pi * parameters[:, _F, None] * slope
    per_v = -v * precision_v * envelope * wave
    cos, sin = parameters[:, _THETA, None].cos(), parameters[:, _THETA, None].sin()
    columns = [
        -per_u * cos + per_v * sin,
        -per_u * sin - per_v * cos,
        per_u * v - per_v * u,
        2 * torch.pi * u * slope,
        u * u * precision_u * envelope * wave,
        v * v * precision_v * envelope * wave,
        envelope * cos_p,
        envelope * sin_p,
        torch.ones_like(u),
    ]
    return envelope * wave + parameters[:, _C, None], torch.stack(columns, 2)


def _refine(parameters: Tensor, goal: Tensor, grid: Tensor, size: int, steps: int) -> tuple[Tensor, Tensor]:
    """Levenberg-Marquardt with a damping for each fit; a step that does not help is not taken. A fit whose
    error has not fallen by a thousandth in five steps, or is nothing any more, is left as it is."""
    parameters, count = parameters.clone(), len(parameters)
    error = (_value(parameters, grid) - goal).square().sum(1)
    damping = torch.full((count,), 1e-2, dtype=torch.float64)
    negligible = 1e-9 * goal.square().sum(1) + 1e-20
    active, before = torch.arange(count), error.clone()
    for step in range(steps):
        if step and step % 5 == 0:
            moving = (error[active] < 0.999 * before[active]) & (error[active] > negligible[active])
            active, before = active[moving], error.clone()
        if not len(active):
            break
        now = parameters[active]
        value, jacobian = _jacobian(now, grid)
        normal = jacobian.transpose(1, 2) @ jacobian
        gradient = jacobian.transpose(1, 2) @ (goal[active] - value)[..., None]
        diagonal = torch.diagonal(normal, dim1=1, dim2=2).clamp_min(1e-9)
        damped = normal + torch.diag_embed(damping[active, None] * diagonal)
        proposal = _bounded(now + torch.linalg.solve(damped, gradient).squeeze(2), size)
        proposed = (_value(proposal, grid) - goal[active]).square().sum(1)
        better = proposed < error[active]
        parameters[active] = torch.where(better[:, None], proposal, now)
        error[active] = torch.where(better, proposed, error[active])
        damping[active] = torch.where(better, damping[active] / 3, damping[active] * 4).clamp(1e-9, 1e6)
    return parameters, error


def _bounded(parameters: Tensor, size: int) -> Tensor:
    """Inside the filter, below the Nyquist limit of the diagonal, widths from 0.4 pixels to two filters."""
    bounded = parameters.clone()
    bounded[:, :2] = bounded[:, :2].clamp(-0.6 * size, 0.6 * size)
    bounded[:, _F] = bounded[:, _F].clamp(0.0, 0.71)
    bounded[:, _LOG_U : _LOG_V + 1] = bounded[:, _LOG_U : _LOG_V + 1].clamp(
        float(np.log(0.4)), float(np.log(2 * size))
    )
    return bounded


def _canonical(parameters: Tensor) -> Tensor:
    """θ in [0, π); turning the wave by π only flips the sign of the odd amplitude."""
    turned = parameters.clone()
    turns = torch.floor(turned[:, _THETA] / torch.pi)
    turned[:, _THETA] -= turns * torch.pi
    turned[:, _B] *= torch.where(turns.long() % 2 == 0, 1.0, -1.0).double()
    return turned
