"""What the attacks maximise: losses of logits (M, C) and labels (M,), one value per row."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from robustness.errors import UserError

_TINY = 1e-12


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """−log softmax(z)_y, in nats."""
    return functional.cross_entropy(logits, labels, reduction="none")


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """max_{i≠y} z_i − z_y: above 0 where it is misclassified."""
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return others - logits.gather(1, labels[:, None])[:, 0]


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Difference of logits ratio (Croce & Hein 2020, equation 6): −(z_y − max_{i≠y} z_i) / (z_π1 − z_π3).

    It does not change when the logits are shifted or scaled, so a saturated softmax does not hide it.
    """
    top = logits.topk(3, dim=1).values
    return margin(logits, labels) / (top[:, 0] - top[:, 2] + _TINY)


def targeted_dlr(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Targeted DLR (Croce & Hein 2020, equation 7): −(z_y − z_t) / (z_π1 − ½(z_π3 + z_π4))."""
    top = logits.topk(4, dim=1).values
    gap = logits.gather(1, targets[:, None])[:, 0] - logits.gather(1, labels[:, None])[:, 0]
    return gap / (top[:, 0] - 0.5 * (top[:, 2] + top[:, 3]) + _TINY)


def require_classes(found: int, needed: int, attack: str) -> None:
    """Raises UserError if a loss needs more classes than the model has."""
    if found < needed:
        raise UserError(
            f"attack {attack}: its loss needs {needed} classes, the model has {found}; use apgd_ce"
        )
