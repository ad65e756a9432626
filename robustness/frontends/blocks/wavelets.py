"""The wavelet scattering transform of orders 0, 1 and 2 (Bruna & Mallat 2013), with Morlet wavelets.

Filters, padding and sampling are those of kymatio 0.3.0 (Andreux et al. 2020); the coefficients agree with
it, in the same order. Oyallon & Mallat (CVPR 2015) use J = 2 and L = 8 for small images.
"""

from __future__ import annotations

import math
from functools import lru_cache, reduce
from operator import add

import numpy as np
import torch
from torch import Tensor, nn

SCALES = 2
"""J: wavelets of 1 and 2 octaves below the pixels; the maps have the stride 2^J = 4, that of the V1 block."""
ANGLES = 8
"""L: orientations of the wavelets, in half a turn."""
GROUP_VALUES = 1 << 16
"""How many values a CPU transforms together, so that their maps, some hundred times as large, stay in its
cache."""


class Scattering(nn.Module):
    """Images (N, C, H, W) → coefficients (N, 81·C, ⌈H/4⌉, ⌈W/4⌉), every input channel by itself.

    Of each channel: the image's low-pass x∗φ, then |x∗ψ|∗φ for all J·L = 16 wavelets, then ||x∗ψ|∗ψ'|∗φ for
    all pairs of a wavelet and one of a coarser scale, 64. ≥ 0 except for the low-pass. No part is trained.
    """

    def forward(self, images: Tensor) -> Tensor:
        on_cpu = images.device.type == "cpu"
        group = GROUP_VALUES // max(1, images[:1].numel()) if on_cpu else len(images)
        with torch.autocast(images.device.type, enabled=False):
            parts = [self._transform(part) for part in images.float().split(max(1, group))]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _transform(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        padded = nn.functional.pad(images, [*_borders(width), *_borders(height)], mode="reflect")
        size = tuple(padded.shape[2:])
        wavelets = _wavelets(size, images.device)
        spectrum = torch.fft.fft2(padded)
        zeroth, first, second = [_low_pass(padded, 0)[:, :, None]], [], []
        for scale in range(SCALES):
            moduli = _convolved(spectrum[:, :, None], wavelets[scale][0], 2**scale).abs()
            first.append(_low_pass(moduli, scale))
            if scale + 1 < SCALES:
                second.append(self._second(moduli, scale, size))
        return torch.cat([*zeroth, *first, *second], dim=2).flatten(1, 2)

    def _second(self, moduli: Tensor, scale: int, size: tuple[int, int]) -> Tensor:
        """The coefficients of all coarser wavelets ψ', (N, C, L·L·coarser scales, h, w)."""
        spectrum, found = torch.fft.fft2(moduli), []
        for coarser in range(scale + 1, SCALES):
            for wavelet in _wavelets(size, moduli.device)[coarser][scale]:
                again = _convolved(spectrum, wavelet, 2 ** (coarser - scale)).abs()
                found.append(_low_pass(again, coarser))
        return torch.stack(found, dim=3).flatten(2, 3)

    def extra_repr(self) -> str:
        return f"scales={SCALES}, angles={ANGLES}"


def morlet(size: tuple[int, int], scale: int, angle: int) -> np.ndarray:
    """A Morlet wavelet on a torus of that size: complex128 (height, width), centred at [0, 0], of sum 0.

    ψ(u) = s/(2πσ²)·exp(−(a² + s²·b²)/(2σ²))·(exp(iξa) − K), with a along and b across the angle θ (from the
    rows' axis), σ = 0.8·2^scale pixels, ξ = (3π/4)/2^scale, slant s = 4/L and θ = (L/2 − 1 − angle)·π/L.
    """
    sigma, slant, theta = 0.8 * 2**scale, 4 / ANGLES, (ANGLES / 2 - 1 - angle) * np.pi / ANGLES
    rows, columns = np.ogrid[-2 * size[0] : 3 * size[0], -2 * size[1] : 3 * size[1]]
    along = rows * np.cos(theta) + columns * np.sin(theta)
    across = columns * np.cos(theta) - rows * np.sin(theta)
    envelope = np.exp(-(along**2 + (slant * across) ** 2) / (2 * sigma**2)) * slant / (2 * np.pi * sigma**2)
    wave = envelope * np.exp(0.75j * np.pi / 2**scale * along)
    wavelet = wave - envelope * (wave.sum() / envelope.sum())
    return wavelet.reshape(5, size[0], 5, size[1]).sum(axis=(0, 2))


def _borders(extent: int) -> tuple[int, int]:
    """Reflected pixels before and after an axis."""
    stride = 2**SCALES
    added = ((extent + stride) // stride + 1) * stride - extent
    return added // 2, added - added // 2


def _coarse(spectrum: np.ndarray, level: int, axes: tuple[int, ...]) -> np.ndarray:
    """A filter's spectrum for maps of every 2^level-th pixel: the frequencies that these can bear."""
    for axis in axes:
        extent = spectrum.shape[axis] >> level
        spectrum = np.take(spectrum, np.fft.fftfreq(extent, 1 / extent).astype(int), axis=axis)
    return spectrum


@lru_cache(maxsize=8)
def _wavelets(size: tuple[int, int], device: torch.device) -> list[list[Tensor]]:
    """By scale and by level, from 0 to the scale: the real spectra (L, height, width) of the wavelets, over
    the number of frequencies that :func:`_convolved` sums."""
    found = []
    with torch.inference_mode(mode=False):
        for scale in range(SCALES):
            spectra = np.stack([np.fft.fft2(morlet(size, scale, angle)).real for angle in range(ANGLES)])
            levels = [_coarse(spectra, level, (1, 2)) for level in range(scale + 1)]
            scaled = (each / 4 ** (scale - level) for level, each in enumerate(levels))
            found.append([torch.from_numpy(each).float().to(device) for each in scaled])
    return found


def _convolved(spectrum: Tensor, wavelets: Tensor, step: int) -> Tensor:
    """Every ``step``-th pixel of maps, given by their spectrum, convolved with wavelets: complex64."""
    product = spectrum * wavelets
    # Frequencies that the coarser maps cannot tell apart are summed.
    for axis in (-2, -1):
        product = reduce(add, product.chunk(step, axis))
    return torch.fft.ifft2(product)


@lru_cache(maxsize=32)
def _averaging(extent: int, level: int, device: torch.device) -> Tensor:
    """(places, extent) one axis of the low-pass φ, a Gaussian of σ = 0.8·2^(J−1) pixels, for maps of every
    2^level-th pixel, sampled at the stride 2^J and without the first and the last place, which are border."""
    sigma, whole = 0.8 * 2 ** (SCALES - 1), extent << level
    around = np.arange(-2 * whole, 3 * whole)
    gaussian = np.exp(-(around**2) / (2 * sigma**2)) / math.sqrt(2 * np.pi * sigma**2)
    spectrum = _coarse(np.fft.fft(gaussian.reshape(5, whole).sum(axis=0)).real, level, (0,))
    kernel = np.fft.ifft(spectrum).real
    places = np.arange(0, extent, 2 ** (SCALES - level))[1:-1]
    matrix = kernel[(places[:, None] - np.arange(extent)) % extent]
    with torch.inference_mode(mode=False):
        return torch.from_numpy(matrix).float().to(device)


def _low_pass(maps: Tensor, level: int) -> Tensor:
    height, width = maps.shape[-2:]
    rows, columns = (_averaging(extent, level, maps.device) for extent in (height, width))
    return rows @ maps @ columns.T
