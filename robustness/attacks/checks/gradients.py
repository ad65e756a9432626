"""Checks of the gradients (numbers 8 and 10), and the negative control (number 12)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from robustness.attacks.checks.subject import Subject, cross_entropy_gradient
from robustness.attacks.checks.verdict import Check, at_most
from robustness.attacks.losses import margin
from robustness.attacks.victim import Victim, advance
from robustness.seeds import torch_generator

NEAR = 1e-3  # radius (L∞) within which a loss that gradients can follow hardly changes


def check(subject: Subject) -> Iterator[Check]:
    """graph, gradients, gradient_values, loss_stability, negative_control."""
    slopes = cross_entropy_gradient(subject, subject.rows) if len(subject.rows) else torch.zeros(0, 1, 1, 1)
    yield at_most(
        "graph",
        float(subject.victim.graph_broken),
        0,
        "1: the loss does not depend on the image for autograd",
    )
    useless, zeros = usefulness(slopes)
    yield at_most(
        "gradients",
        useless,
        0,
        "share of images whose gradient is all zero, NaN or infinite",
        fail_above=0.05,
    )
    yield at_most("gradient_values", zeros, 0.5, "share of zeros among gradient values", fail_above=0.9)
    yield at_most(
        "loss_stability",
        instability(subject),
        0.1,
        f"mean relative change of the margin at {subject.scale.near_points} random points within {NEAR:g}",
        fail_above=0.3,
    )
    yield negative_control(subject)


def usefulness(slopes: Tensor) -> tuple[float, float]:
    """(share of images without a usable gradient, share of zero values) of gradients (n, C, H, W)."""
    if len(slopes) == 0:
        return 0.0, 0.0
    flat = slopes.flatten(1)
    usable = torch.isfinite(flat).all(1) & (flat != 0).any(1)
    return float((~usable).float().mean()), float((flat == 0).float().mean())


def instability(subject: Subject) -> float:
    """Mean of min(1, |m(x') − m(x)| / |m(x)|) over random points x' near x, m the margin (Pintor et al.
    2022).

    With noise the same draws are used for x and x', so that the change is that of the loss, not of the noise.
    """
    rows = subject.rows[: max(1, subject.scale.samples // 3)]
    changes = []
    for row in rows:
        generator = torch_generator(subject.victim.seed, "near points", int(subject.ids[row]))
        x = subject.images[row : row + 1].cpu()
        shift = torch.empty(subject.scale.near_points, *x.shape[1:]).uniform_(
            -NEAR, NEAR, generator=generator
        )
        points = torch.cat([x, (x + shift).clamp(0, 1)])
        keys = subject.score_keys[row].expand(len(points))
        logits = subject.victim.logits(points, keys, draws=subject.victim.draws)
        labels = subject.labels[row].cpu().expand(len(points))
        margins = torch.stack([margin(draw, labels) for draw in logits]).mean(0)
        relative = (margins[1:] - margins[0]).abs() / margins[0].abs().clamp_min(1e-6)
        changes.append(relative.clamp_max(1).mean().item())
    return float(np.mean(changes)) if changes else 0.0


class Rounded(nn.Module):
    """The model behind inputs rounded to ``levels`` steps: the same answers nearly, and no gradients."""

    def __init__(self, model: nn.Module, levels: int = 64) -> None:
        super().__init__()
        self.model, self.levels = model, levels

    def forward(self, x: Tensor) -> Tensor:
        return self.model((x * self.levels).round() / self.levels)


def negative_control(subject: Subject) -> Check:
    """The gradient check must fail for this very model when its gradients are destroyed on purpose."""
    if not isinstance(subject.victim.model, nn.Module) or len(subject.rows) == 0:
        return at_most("negative_control", 0, 0, "not run: no module, or no sample that is right")
    kind = subject.victim
    destroyed = Victim(
        Rounded(kind.model), device=kind.device, draws=1, score_draws=1, noise=kind.noise, seed=kind.seed
    )
    with destroyed:
        rows = subject.rows[:8]
        x, y = subject.images[rows].to(kind.device), subject.labels[rows].to(kind.device)
        keys = advance(subject.score_keys[rows], torch.zeros(len(rows), dtype=torch.int64))
        answer = destroyed.query(x, lambda logits: margin(logits, y), y, keys, gradient=True)
    useless, _ = usefulness(answer.gradient.cpu())
    return at_most(
        "negative_control", 1 - useless, 0, "share of images whose destroyed gradient was not noticed"
    )
