"""From a network's outputs to an image set's classes: which outputs stand for each class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from robustness.errors import UserError


class Gather(nn.Module):
    """Logits (N, outputs) to logits (N, classes): a class has the largest logit of its outputs.

    So the answer is the class of the largest output among those named, and gradients pass to that output.
    """

    def __init__(self, groups: Sequence[Sequence[int]], outputs: int) -> None:
        super().__init__()
        named = [number for group in groups for number in group]
        if not all(groups) or min(named) < 0 or max(named) >= outputs:
            raise UserError(
                f"the image set maps its classes to outputs {min(named)} to {max(named)}, some class perhaps "
                f"to none; the network has {outputs} outputs"
            )
        widest = max(map(len, groups))
        # Short groups repeat their first member: the largest is the same.
        index = [[*group, *[group[0]] * (widest - len(group))] for group in groups]
        self.register_buffer("index", torch.tensor(index), persistent=False)

    def forward(self, logits: Tensor) -> Tensor:
        return logits[:, self.index].amax(dim=2)
