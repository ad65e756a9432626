"""Runs foolbox's own attacks, which take whole batches, on a victim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import eagerpy as ep
import numpy as np
import torch
from foolbox import Misclassification, Model
from foolbox.attacks.base import AttackWithDistance
from foolbox.types import Bounds
from torch import Tensor

from robustness.attacks.victim import Victim, advance


class VictimModel(Model):
    """A victim as foolbox sees it. One with noise gives log mean softmax over its draws, new ones at each
    call."""

    def __init__(self, victim: Victim, keys: Tensor) -> None:
        self.victim, self.keys, self.calls = victim, keys, 0
        self.data_format = "channels_first"

    @property
    def bounds(self) -> Bounds:
        return Bounds(0, 1)

    def __call__(self, inputs: Any) -> Any:
        x, restore = ep.astensor_(inputs)
        images = x.raw
        with torch.set_grad_enabled(images.requires_grad):
            logits = self.victim.averaged_logits(images, self._keys(len(images)))
        self.calls += 1
        return restore(ep.astensor(logits))

    def _keys(self, count: int) -> Tensor:
        """Seeds for this call; for several copies of one image one each."""
        steps = torch.full((count,), self.calls + 1)
        if count == len(self.keys):
            return advance(self.keys, steps)
        return advance(self.keys[:1].expand(count) + torch.arange(count), steps)


def run_adopted(
    attack: AttackWithDistance,
    victim: Victim,
    images: Tensor,
    labels: Tensor,
    ids: Sequence[int] | np.ndarray,
    epsilon: float | None,
    *,
    batch_size: int,
    alone: bool = False,
) -> Tensor:
    """(N, C, H, W) float32 on the CPU: what the attack makes of each image, not yet judged.

    epsilon: the budget, in image units, or None for an attack that looks for the smallest perturbation.
    alone: one image at a time, under torch's generator seeded for that image, for attacks whose random
    numbers or sums run over the batch.
    """
    keys = victim.keys(ids, "adopted", type(attack).__name__, "" if epsilon is None else epsilon)
    width = 1 if alone else max(1, batch_size // victim.draws)
    budget = {} if epsilon is None else {"epsilon": epsilon}
    parts = []
    for start in range(0, len(images), width):
        rows = slice(start, start + width)
        x, y = images[rows].to(victim.device), labels[rows].to(victim.device)
        with torch.random.fork_rng(enabled=alone):
            if alone:
                torch.manual_seed(int(keys[start]))
            parts.append(attack.run(VictimModel(victim, keys[rows]), x, Misclassification(y), **budget).cpu())
    return torch.cat(parts)
