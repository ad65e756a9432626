"""Spectra of filters and images, and the numbers read off them."""

from __future__ import annotations

import numpy as np


def filter_amplitude(filters: np.ndarray, size: int = 64) -> np.ndarray:
    """|F| of filters (n, k, k), zero-padded to size × size, zero frequency in the middle: (n, size, size)."""
    size = max(size, *filters.shape[-2:])
    return np.fft.fftshift(np.abs(np.fft.fft2(filters, s=(size, size))), axes=(-2, -1))


def frequency_grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """f_y and f_x (cycles per pixel) of a centred size × size spectrum."""
    axis = np.fft.fftshift(np.fft.fftfreq(size))
    return np.meshgrid(axis, axis, indexing="ij")


def energy_share(amplitude: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The share of the energy |F|² of spectra (n, s, s) that lies where ``chosen`` (s, s) is true; NaN for an
    empty spectrum."""
    energy = amplitude.astype(float) ** 2
    total = energy.sum((-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (energy * chosen).sum((-2, -1)) / total, np.nan)


def alias_energy(amplitude: np.ndarray, stride: int) -> np.ndarray:
    """ρ = Σ_{f > 1/(2·stride)} |F|² / Σ |F|² of filters applied with a stride (n,).

    The lattice of the outputs is square, so f is the larger of |f_x| and |f_y|: nothing is above the limit at
    stride 1, and what is counted is just what folds over.
    """
    fy, fx = frequency_grid(amplitude.shape[-1])
    return energy_share(amplitude, np.maximum(np.abs(fx), np.abs(fy)) > 1 / (2 * stride) + 1e-12)


def band_share(amplitude: np.ndarray, low: float, high: float) -> np.ndarray:
    """The share of energy at radial frequencies in [low, high) cycles per pixel (n,)."""
    fy, fx = frequency_grid(amplitude.shape[-1])
    radius = np.hypot(fx, fy)
    return energy_share(amplitude, (radius >= low) & (radius < high))


def preferred(amplitude: np.ndarray, theta_steps: int = 36) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Preferred frequency (cycles per pixel), preferred orientation (radians in [0, π), the direction of the
    wave vector) and selectivity of spectra (n, s, s).

    The frequency is that of the spectrum's peak; r(θ) is the amplitude on the circle of that frequency, and
    the selectivity is |Σ r e^{2iθ}| / Σ r: 0 for a filter without orientation, 1 for a plane wave. NaN for an
    empty spectrum; a peak at zero frequency has no orientation (NaN) and selectivity 0.
    """
    n, size, _ = amplitude.shape
    fy, fx = frequency_grid(size)
    peak = amplitude.reshape(n, -1).argmax(1)
    frequency = np.hypot(fx, fy).reshape(-1)[peak]
    theta = np.arange(theta_steps) * np.pi / theta_steps
    rows = size // 2 + frequency[:, None] * size * np.sin(theta)
    columns = size // 2 + frequency[:, None] * size * np.cos(theta)
    response = _bilinear(amplitude, rows, columns)
    total = response.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        vector = (response * np.exp(2j * theta)).sum(1) / total
    empty = total <= 0
    orientation = np.mod(np.arctan2(fy.reshape(-1)[peak], fx.reshape(-1)[peak]), np.pi)
    orientation = np.where(empty | (frequency == 0), np.nan, orientation)
    selectivity = np.where(empty, np.nan, np.where(frequency == 0, 0.0, np.abs(vector)))
    return np.where(empty, np.nan, frequency), orientation, selectivity


def _bilinear(amplitude: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Values between the samples of a spectrum, which repeats beyond its edges: (n, θ)."""
    size = amplitude.shape[-1]
    row, column = np.floor(rows).astype(int), np.floor(columns).astype(int)
    part_r, part_c = rows - row, columns - column
    index = np.arange(len(amplitude))[:, None]

    def at(dr: int, dc: int) -> np.ndarray:
        return amplitude[index, (row + dr) % size, (column + dc) % size]

    upper = at(0, 0) * (1 - part_c) + at(0, 1) * part_c
    lower = at(1, 0) * (1 - part_c) + at(1, 1) * part_c
    return upper * (1 - part_r) + lower * part_r


def high_frequency_share(images: np.ndarray, limit: float = 0.25) -> np.ndarray:
    """The share of an image's energy, its mean colour left out, above ``limit`` cycles per pixel.

    ``images``: (n, C, H, W). Colours are summed. NaN for a uniform image. Result (n,).
    """
    centred = images - images.mean((-2, -1), keepdims=True)
    energy = (np.abs(np.fft.fft2(centred)) ** 2).sum(1)
    fy = np.fft.fftfreq(images.shape[-2])[:, None]
    fx = np.fft.fftfreq(images.shape[-1])[None, :]
    total = energy.sum((-2, -1))
    high = (energy * (np.hypot(fx, fy) > limit)).sum((-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 1e-12, high / total, np.nan)
