"""Standard normal numbers from a seed, fast enough for noise on hundreds of feature maps."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

QUANTILES = 2**16
PART = 2**18


def standard_normal(count: int, seed: int, device: torch.device | str = "cpu") -> Tensor:
    """`count` independent N(0, 1) numbers, float32, from a generator of their own.

    On the CPU 16 random bits pick one of 65,536 equally likely values: the middles of the quantiles of
    N(0, 1), scaled to variance 1. The distribution function is off by at most 2⁻¹⁷ and no number is beyond
    ±4.3; this is about three times as fast as torch.randn. Other devices use their own generator, so their
    numbers differ.
    """
    device = torch.device(device)
    if device.type != "cpu":
        generator = torch.Generator(device).manual_seed(seed)
        return torch.randn(count, generator=generator, device=device)
    bits = np.random.SFC64(seed)
    table, numbers = _table(), torch.empty(count)
    for start in range(0, count, PART):
        part = numbers[start : start + PART]
        drawn = bits.random_raw(-(-len(part) // 4)).view(np.uint16)[: len(part)]
        torch.index_select(table, 0, torch.from_numpy(drawn.astype(np.int32)), out=part)
    return numbers


@lru_cache(maxsize=1)
def _table() -> Tensor:
    probability = (torch.arange(QUANTILES, dtype=torch.float64) + 0.5) / QUANTILES
    values = math.sqrt(2) * torch.erfinv(2 * probability - 1)
    return (values / values.square().mean().sqrt()).float()
