"""Runs foolbox's own attacks, which take whole batches, on an attacked model."""

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

from robustness.attacks.attacked_model import AttackedModel, advance


class FoolboxModel(Model):
    """An attacked model as foolbox sees it. With noise a query gives log mean softmax over the EOT samples,
    fresh ones at each query unless they are ``fixed``."""

    def __init__(self, model: AttackedModel, keys: Tensor, *, fixed: bool) -> None:
        self.model, self.keys, self.fixed, self.queries = model, keys, fixed, 0
        self.data_format = "channels_first"

    @property
    def bounds(self) -> Bounds:
        return Bounds(0, 1)

    def __call__(self, inputs: Any) -> Any:
        x, restore = ep.astensor_(inputs)
        images = x.raw
        with torch.set_grad_enabled(images.requires_grad):
            logits = self.model.averaged_logits(images, self._keys(len(images)))
        self.queries += 1
        return restore(ep.astensor(logits))

    def _keys(self, count: int) -> Tensor:
        """Seeds for this query; for several copies of one image one each."""
        steps = torch.full((count,), 1 if self.fixed else self.queries + 1)
        if count == len(self.keys):
            return advance(self.keys, steps)
        return advance(self.keys[:1].expand(count) + torch.arange(count), steps)


def run_foolbox(
    attack: AttackWithDistance,
    model: AttackedModel,
    images: Tensor,
    labels: Tensor,
    ids: Sequence[int] | np.ndarray,
    epsilon: float | None,
    *,
    batch_size: int,
    alone: bool = False,
) -> Tensor:
    """(N, C, H, W) float32 on the CPU: what the attack makes of each image, not evaluated yet.

    images: (N, C, H, W) float32 in [0, 1]; labels: (N,) int64; ids: (N,) what the random numbers belong to.
    epsilon: the size of the ball, in image units, or None for an attack that minimises the perturbation.
    alone: one image at a time, under torch's generator seeded for that image, for attacks whose random
    numbers or sums run over the batch; the noise is fixed then, since such an attack walks along a decision
    boundary that must not move.
    """
    # "adopted" names a stream of random numbers: another word would give other results.
    keys = model.keys(ids, "adopted", type(attack).__name__, "" if epsilon is None else epsilon)
    width = 1 if alone else max(1, batch_size // model.eot_samples)
    ball = {} if epsilon is None else {"epsilon": epsilon}
    parts = []
    for start in range(0, len(images), width):
        rows = slice(start, start + width)
        x, y = images[rows].to(model.device), labels[rows].to(model.device)
        with torch.random.fork_rng(enabled=alone):
            if alone:
                torch.manual_seed(int(keys[start]))
            asked = FoolboxModel(model, keys[rows], fixed=alone)
            parts.append(attack.run(asked, x, Misclassification(y), **ball).cpu())
    return torch.cat(parts)
