"""How alike two images are: NRMSE and SSIM, for batches."""

from __future__ import annotations

import torch
from torch import Tensor

from robustness.probes.regularisers import gaussian_blur


def nrmse(images: Tensor, reference: Tensor) -> Tensor:
    """‖x − x0‖/‖x0 − mean(x0)‖ of (B, C, H, W), the mean over pixels a colour: (B,). 0 = equal; 1 = no better
    than the mean colour; NaN for a uniform reference."""
    centred = reference - reference.mean((2, 3), keepdim=True)
    scale = centred.flatten(1).norm(dim=1)
    distance = (images - reference).flatten(1).norm(dim=1)
    return torch.where(scale > 1e-4, distance / scale.clamp_min(1e-4), torch.nan)


def ssim(images: Tensor, reference: Tensor, *, sigma: float = 1.5) -> Tensor:
    """Structural similarity of images (B, C, H, W) in [0, 1], the mean over pixels and colours: (B,).

    Z. Wang et al., IEEE Trans. Image Processing 13 (2004), with their Gaussian window and constants.
    """
    c1, c2 = 0.01**2, 0.03**2
    mean_x, mean_y = gaussian_blur(images, sigma), gaussian_blur(reference, sigma)
    var_x = gaussian_blur(images * images, sigma) - mean_x**2
    var_y = gaussian_blur(reference * reference, sigma) - mean_y**2
    both = gaussian_blur(images * reference, sigma) - mean_x * mean_y
    score = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    score = score / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return score.mean((1, 2, 3))
