"""Gaussian blur as a product of matrices, one for each axis: exact, and cheap at any radius."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


def blur(images: Tensor, radius: float, reach: int) -> Tensor:
    """Images (…, H, W) convolved with exp(−(i² + j²)/radius²), |i| and |j| ≤ reach pixels; borders reflect.

    The kernel has its peak at 1; its standard deviation is radius/√2. A reach beyond the image ends at it.
    """
    rows, columns = (_matrix(extent, radius, reach, images.device) for extent in images.shape[-2:])
    return rows @ images @ columns.T


def integral(radius: float, reach: int) -> float:
    """The sum of that kernel over both axes."""
    return float(np.exp(-((np.arange(-reach, reach + 1) / radius) ** 2)).sum() ** 2)


@lru_cache(maxsize=64)
def _matrix(extent: int, radius: float, reach: int, device: torch.device) -> Tensor:
    """(extent, extent): one axis of the kernel, with what falls beyond the first and the last pixel
    folded back."""
    matrix = np.zeros((extent, extent))
    places = np.arange(extent)
    reach = min(reach, extent - 1)
    for shift in range(-reach, reach + 1):
        source = np.abs(places + shift)
        source = np.where(source < extent, source, 2 * (extent - 1) - source)
        np.add.at(matrix, (places, source), np.exp(-((shift / radius) ** 2)))
    with torch.inference_mode(mode=False):
        return torch.from_numpy(matrix).float().to(device)
