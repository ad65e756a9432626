"""Checks of the gradients: are they masked?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from robustness.attacks.checks.context import CheckContext
from robustness.attacks.checks.verdict import Check, at_most
from robustness.attacks.losses import cross_entropy, margin
from robustness.seeds import torch_generator

NEAR = 1e-3  # radius (L∞) within which a loss that gradients can follow hardly changes


def check(context: CheckContext) -> Iterator[Check]:
    """graph, gradients, gradient_values, loss_stability."""
    slopes = cross_entropy_gradient(context)
    broken = float(context.model.graph_broken)
    yield at_most("graph", broken, 0, "1: the loss does not depend on the image for autograd", "masked")
    useless, zeros = usefulness(slopes)
    detail = "share of images whose gradient is all zero, NaN or infinite"
    yield at_most("gradients", useless, 0.05, detail, "masked")
    yield at_most("gradient_values", zeros, 0.9, "share of zeros among gradient values", "masked")
    detail = (
        f"mean relative change of the margin at {context.scale.near_points} random points within {NEAR:g}"
    )
    yield at_most("loss_stability", instability(context), 0.3, detail, "masked")


def cross_entropy_gradient(context: CheckContext) -> Tensor:
    """(n, C, H, W) on the CPU: the gradient of the cross-entropy at the clean images, as attacks get it."""
    model, rows = context.model, context.rows
    width = max(1, context.setup.batch_size // model.eot_samples)
    keys = model.keys(context.ids[rows], "gradient check")
    parts = []
    for start in range(0, len(rows), width):
        part = rows[start : start + width]
        x, y = context.images[part].to(model.device), context.labels[part].to(model.device)
        loss = lambda logits, y=y: cross_entropy(logits, y.repeat(len(logits) // len(y)))  # noqa: E731
        parts.append(model.query(x, loss, y, keys[start : start + width], gradient=True).gradient.cpu())
    return torch.cat(parts)


def usefulness(slopes: Tensor) -> tuple[float, float]:
    """(share of images without a usable gradient, share of zero values) of gradients (n, C, H, W), n > 0."""
    flat = slopes.flatten(1)
    usable = torch.isfinite(flat).all(1) & (flat != 0).any(1)
    return float((~usable).float().mean()), float((flat == 0).float().mean())


def instability(context: CheckContext) -> float:
    """Mean of min(1, |m(x') − m(x)| / |m(x)|) over random points x' near x, m the margin (Pintor et al.
    2022).

    With noise x and x' get the same noise, so that the change is that of the loss.
    """
    rows = context.rows[: max(1, context.scale.samples // 3)]
    changes = []
    for row in rows:
        generator = torch_generator(context.model.seed, "near points", int(context.ids[row]))
        x = context.images[row : row + 1].cpu()
        shift = torch.empty(context.scale.near_points, *x.shape[1:]).uniform_(
            -NEAR, NEAR, generator=generator
        )
        points = torch.cat([x, (x + shift).clamp(0, 1)])
        keys = context.score_keys[row].expand(len(points))
        logits = context.model.logits(points, keys, draws=context.model.eot_samples)
        labels = context.labels[row].cpu().expand(len(points))
        margins = torch.stack([margin(draw, labels) for draw in logits]).mean(0)
        relative = (margins[1:] - margins[0]).abs() / margins[0].abs().clamp_min(1e-6)
        changes.append(relative.clamp_max(1).mean().item())
    return float(np.mean(changes))
