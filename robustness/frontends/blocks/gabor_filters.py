"""Gabor parameters drawn from the published distributions of V1, and the filters made of them.

Source of the tables and of the coupling: Dapello et al., "Simulating a Primary Visual Cortex at the Front of
CNNs Improves Robustness to Image Perturbations", NeurIPS 2020, which takes them from measurements in macaque
V1 (orientation: De Valois et al. 1982; frequency: De Valois et al. 1982; widths: Ringach 2002).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from robustness.errors import UserError

ORIENTATION_EDGES = np.array([-22.5, 22.5, 67.5, 112.5, 157.5])
ORIENTATION_WEIGHTS = np.array([66, 49, 77, 54])
FREQUENCY_EDGES = np.array([0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0])
FREQUENCY_WEIGHTS = np.array([4, 4, 8, 25, 32, 26, 28, 12])
WIDTH_EDGES = np.logspace(-1, 0.2, 6)
WIDTH_JOINT = np.array(
    [[2, 0, 1, 0, 0], [8, 9, 4, 1, 0], [1, 2, 19, 17, 3], [0, 0, 1, 7, 4], [0, 0, 0, 0, 0]]
)
"""Counts of (nx bin, ny bin); rows are nx."""
FREQUENCY_WIDTH_CORRELATION = 0.75


@dataclass(frozen=True)
class Tables:
    """The measured distributions that are not the same in all papers: weights of the frequency table's bins,
    the bins' edges of nx and ny, and the counts of (nx bin, ny bin)."""

    frequency_weights: np.ndarray
    width_edges: np.ndarray
    width_joint: np.ndarray


VONENET = Tables(FREQUENCY_WEIGHTS, WIDTH_EDGES, WIDTH_JOINT)
_EVNET_WIDTHS = np.logspace(-1, 0, 5), np.array([[2, 0, 1, 0], [8, 9, 4, 1], [1, 2, 19, 17], [0, 0, 1, 7]])
EVNET_SIMPLE = Tables(np.array([4, 4, 8, 25, 33, 26, 28, 12]), *_EVNET_WIDTHS)
EVNET_COMPLEX = Tables(np.array([0, 0, 9, 9, 7, 10, 23, 12]), *_EVNET_WIDTHS)
"""Simple and complex cells of EVNet (Piper et al. 2025): foveal cells of De Valois et al. 1982."""


@dataclass(frozen=True)
class GaborParameters:
    """One row per cell, float64 arrays of shape (n,), `colour` int64.

    orientation: degrees in [0, 180). phase: degrees in [0, 360). frequency: cycles/degree.
    nx, ny: standard deviation of the Gaussian along and across the modulation, in periods.
    colour: the input channel that the cell reads.
    """

    orientation: np.ndarray
    phase: np.ndarray
    frequency: np.ndarray
    nx: np.ndarray
    ny: np.ndarray
    colour: np.ndarray

    def __len__(self) -> int:
        return len(self.orientation)

    def sorted_by_colour(self, first: int) -> GaborParameters:
        """The same cells, the `first` ones and the rest each in the order of the channel that they read."""
        order = [np.argsort(part, kind="stable") for part in (self.colour[:first], self.colour[first:])]
        index = np.concatenate([order[0], first + order[1]])
        return GaborParameters(*(getattr(self, field.name)[index] for field in fields(self)))


def sample(
    cells: int,
    generator: np.random.Generator,
    *,
    sf_min: float = 0.5,
    sf_max: float = 8.0,
    uniform: bool = False,
    colours: int = 3,
    tables: Tables = VONENET,
) -> GaborParameters:
    """Draw the parameters of `cells` cells from one generator.

    sf_min, sf_max: cycles/degree; only the bins of the frequency table inside this range are kept.
    uniform: the control: the same ranges, uniform on the axis of each table (degrees, log2 of the frequency,
        log10 of the widths), frequency and widths independent.
    colours: the number of input channels to choose from. tables: the distributions to draw from.
    Raises UserError if no bin of the frequency table lies in [sf_min, sf_max].
    """
    phase = generator.uniform(0.0, 360.0, cells)
    colour = generator.integers(0, colours, cells)
    lowest, highest, frequency_weights = _kept_bins(sf_min, sf_max, tables)
    log_frequency = np.log2(FREQUENCY_EDGES[lowest : highest + 1])
    log_width = np.log10(tables.width_edges)
    orientation_u = generator.random(cells)
    if uniform:
        orientation = 180.0 * orientation_u
        frequency = 2 ** generator.uniform(log_frequency[0], log_frequency[-1], cells)
        nx = 10 ** generator.uniform(log_width[0], log_width[-1], cells)
        ny = 10 ** generator.uniform(log_width[0], log_width[-1], cells)
        return GaborParameters(orientation, phase, frequency, nx, ny, colour)
    orientation = _from_histogram(orientation_u, ORIENTATION_EDGES, ORIENTATION_WEIGHTS)
    orientation = np.where(orientation < 0, orientation + 180.0, orientation)
    first, second = generator.standard_normal((2, cells))
    rho = FREQUENCY_WIDTH_CORRELATION
    frequency_u = _normal_cdf(first)
    nx_u = _normal_cdf(rho * first + math.sqrt(1 - rho**2) * second)
    frequency = 2 ** _from_histogram(frequency_u, log_frequency, frequency_weights)
    log_nx = _from_histogram(nx_u, log_width, tables.width_joint.sum(axis=1))
    row = np.clip(np.searchsorted(log_width, log_nx, side="right") - 1, 0, len(tables.width_joint) - 1)
    ny_u = generator.random(cells)
    log_ny = np.empty(cells)
    for index in np.unique(row):
        rows = row == index
        log_ny[rows] = _from_histogram(ny_u[rows], log_width, tables.width_joint[index])
    return GaborParameters(orientation, phase, frequency, 10**log_nx, 10**log_ny, colour)


def filters(
    parameters: GaborParameters, kernel_size: int, pixels_per_degree: float, *, quadrature: bool = False
) -> np.ndarray:
    """The filters as float64 of shape (n, kernel_size, kernel_size); x is the row axis.

    g = exp(−½(x'²/σx² + y'²/σy²)) / (2πσxσy) · cos(2πf·x' + φ) with x' = x·cosθ + y·sinθ,
    y' = −x·sinθ + y·cosθ, f in cycles/pixel, σx = nx/f, σy = ny/f. `quadrature` takes φ + 90°.
    """
    theta = np.deg2rad(parameters.orientation)[:, None, None]
    phase = np.deg2rad(parameters.phase + (90.0 if quadrature else 0.0))[:, None, None]
    frequency = (parameters.frequency / pixels_per_degree)[:, None, None]
    sigma_x = parameters.nx[:, None, None] / frequency
    sigma_y = parameters.ny[:, None, None] / frequency
    reach = kernel_size // 2
    x, y = np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1), indexing="ij")
    along = x * np.cos(theta) + y * np.sin(theta)
    across = -x * np.sin(theta) + y * np.cos(theta)
    envelope = np.exp(-0.5 * ((along / sigma_x) ** 2 + (across / sigma_y) ** 2)) / (
        2 * np.pi * sigma_x * sigma_y
    )
    return envelope * np.cos(2 * np.pi * frequency * along + phase)


def _kept_bins(sf_min: float, sf_max: float, tables: Tables) -> tuple[int, int, np.ndarray]:
    """First and last edge of the frequency table's bins inside [sf_min, sf_max], and their weights."""
    inside = np.flatnonzero(np.clip(FREQUENCY_EDGES, sf_min - 1e-9, sf_max + 1e-9) == FREQUENCY_EDGES)
    if len(inside) < 2:
        edges = ", ".join(f"{edge:g}" for edge in FREQUENCY_EDGES)
        raise UserError(
            f"frontend.sf_min, sf_max: no bin of the frequency table lies in {sf_min:g} to {sf_max:g} "
            f"cycles/degree; its edges are {edges}"
        )
    lowest, highest = int(inside[0]), int(inside[-1])
    return lowest, highest, tables.frequency_weights[lowest:highest]


def _from_histogram(uniform: np.ndarray, edges: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Inverse of the piecewise linear cumulative distribution; bins without weight get no draws."""
    kept = weights > 0
    cumulative = np.concatenate([[0.0], np.cumsum(weights[kept]) / weights[kept].sum()])
    low, width = edges[:-1][kept], np.diff(edges)[kept]
    index = np.clip(np.searchsorted(cumulative, uniform, side="right") - 1, 0, kept.sum() - 1)
    inside = (uniform - cumulative[index]) / (cumulative[index + 1] - cumulative[index])
    return low[index] + np.minimum(inside, np.nextafter(1.0, 0.0)) * width[index]


def _normal_cdf(values: np.ndarray) -> np.ndarray:
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in values])
