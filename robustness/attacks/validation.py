"""What an evaluation refuses before any work: one line for each mistake."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from robustness.errors import UserError


def check_images(images: Tensor, labels: Tensor) -> None:
    """Raises UserError unless images are (N, C, H, W) float in [0, 1] and labels (N,) whole numbers."""
    if images.ndim != 4 or not images.is_floating_point():
        raise UserError(
            f"images: need a float tensor (N, C, H, W), found {tuple(images.shape)} of {images.dtype}"
        )
    if len(images) == 0:
        raise UserError("images: there are none; give at least one")
    low, high = float(images.amin()), float(images.amax())
    if not (low >= 0 and high <= 1):  # also refuses NaN
        raise UserError(
            f"images: values lie in [{low:g}, {high:g}], not in [0, 1]; the model normalises by itself"
        )
    if labels.shape != images.shape[:1] or labels.is_floating_point():
        found = f"{tuple(labels.shape)} of {labels.dtype}"
        raise UserError(f"labels: need whole numbers of shape ({len(images)},), found {found}")


def check_epsilons(epsilons: Sequence[float]) -> tuple[float, ...]:
    """The ε's in ascending order. Raises UserError for none, a negative or infinite one, or one twice."""
    if len(epsilons) == 0:
        raise UserError("epsilons: there are none; give at least one, in image units (8/255 for L∞)")
    for epsilon in epsilons:
        if not 0 <= epsilon < float("inf"):
            raise UserError(f"epsilons: {epsilon:g} is no budget; use finite numbers from 0, in image units")
    if len(set(epsilons)) != len(epsilons):
        raise UserError("epsilons: one stands there twice")
    return tuple(sorted(float(epsilon) for epsilon in epsilons))


def check_logits(logits: Tensor, labels: Tensor) -> None:
    """Raises UserError unless the model's answers (draws, N, classes) are finite logits for the labels."""
    if logits.ndim != 3 or logits.shape[1] != len(labels):
        found = f"{tuple(logits.shape[1:])} for {len(labels)} images"
        raise UserError(f"model: must give one row of logits per image, found {found}")
    if not torch.isfinite(logits).all():
        bad = int((~torch.isfinite(logits)).any(-1).any(0).sum())
        raise UserError(f"model: gives NaN or infinite logits for {bad} of {len(labels)} clean images")
    if looks_like_probabilities(logits):
        raise UserError(
            "model: gives probabilities (each row is from 0 to 1 and sums to 1); it must give logits"
        )
    classes = logits.shape[-1]
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise UserError(f"labels: lie in {low}…{high}, the model has classes 0…{classes - 1}")


def looks_like_probabilities(logits: Tensor) -> bool:
    """Whether all rows are non-negative and sum to 1, as after a softmax."""
    sums = logits.sum(-1)
    return bool((logits >= 0).all() and (sums - 1).abs().max() < 1e-3)
