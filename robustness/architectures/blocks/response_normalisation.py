"""Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LocalResponseNorm(nn.Module):
    """b_i = a_i / (k + alpha * sum of a_j^2 over the ``size`` channels around i) ^ beta.

    ``alpha`` multiplies the sum, as in the paper; ``torch.nn.LocalResponseNorm`` divides it by ``size``.
    Input and output (N, C, H, W).
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        """The normalised responses, of the shape of ``x``."""
        channels = x.shape[1]
        before = self.size // 2
        squares = F.pad(x.square(), (0, 0, 0, 0, before, self.size - 1 - before))
        total = squares[:, :channels]
        for offset in range(1, self.size):
            total = total + squares[:, offset : offset + channels]
        scale = total * self.alpha + self.k
        if self.beta == 0.75:
            # scale^-3/4 from two square roots: several times faster than a power on a CPU.
            root = torch.rsqrt(scale)
            return x * (root * root.sqrt())
        return x * scale.pow(-self.beta)

    def extra_repr(self) -> str:
        return f"size={self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
