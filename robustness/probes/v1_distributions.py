"""Published distributions of macaque V1, and how far a population of units is from them.

The histograms are those of the benchmarks of Marques et al. (2021, Brain-Score), which take them from the
papers named with each; Ringach's are binned from the published values of all 308 cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustness.seeds import numpy_generator

LEAST_UNITS = 5
"""Of fewer units a property has no distribution."""
DRAWS = 200


@dataclass(frozen=True)
class Distribution:
    """A histogram of ``source``: ``edges`` (k + 1,) and the cells counted in each bin (k,)."""

    source: str
    edges: np.ndarray
    counts: np.ndarray

    @property
    def share(self) -> np.ndarray:
        return self.counts / self.counts.sum()


def _of(source: str, edges: np.ndarray, *counts: str) -> Distribution:
    """``counts``: one row for each group of cells; they are added."""
    rows = np.array([row.split() for row in counts], int)
    return Distribution(source, np.asarray(edges, float), rows.sum(0))


_RINGACH = "Ringach, Shapley & Hawken 2002"
_CAVANAUGH = "Cavanaugh, Bair & Movshon 2002"

PUBLISHED = {
    "circular_variance": _of(
        _RINGACH, np.linspace(0, 1, 14), "4 21 26 17 25 20 24 22 31 33 34 37 14"
    ),
    "orientation_bandwidth": _of(
        _RINGACH, np.linspace(0, 90, 18), "0 0 27 90 68 40 32 12 10 4 8 2 4 2 0 1 0"
    ),
    "orthogonal_ratio": _of(
        _RINGACH, np.linspace(0, 1, 14), "115 26 22 25 23 23 21 16 12 10 10 3 2"
    ),
    "modulation_ratio": _of(_RINGACH, np.linspace(0, 2, 11), "70 48 38 17 11 11 18 40 40 15"),
    "preferred_frequency": _of(
        "De Valois, Albrecht & Thorell 1982",
        [0.35, 0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6, 8, 11.2, 16, 22.4],
        "0 4 4 8 25 33 26 28 12 5 2 1", "0 0 0 9 9 7 10 23 12 8 3 3",
        "2 4 10 12 18 7 18 3 4 0 0 0", "1 2 1 2 5 15 13 9 3 2 0 0",
    ),
    "frequency_selectivity": _of(
        "Schiller, Finlay & Volman 1976", np.linspace(0, 100, 11),
        "0 0 0 6 5 10 7 2 0 0", "0 3 4 10 17 6 2 1 0 0",
    ),
    "suppression_index": _of(_CAVANAUGH, np.linspace(0, 1.2, 7), "66 44 38 23 16 3"),
    "summation_field": _of(_CAVANAUGH, 2.0 ** np.arange(-4, 5), "0 9 30 55 42 10 2 0"),
}  # fmt: skip
"""Property of the probe ``tuning`` → its distribution. Rows of the preferred frequency: foveal simple and
complex cells, parafoveal ones; of the frequency selectivity: simple and complex cells."""


def histogram(values: np.ndarray, published: Distribution) -> np.ndarray:
    """The counts (k,) of the finite values; those beyond the edges count in the first or last bin."""
    finite = values[np.isfinite(values)]
    return np.histogram(finite.clip(*published.edges[[0, -1]]), published.edges)[0]


def distance(counts: np.ndarray, published: Distribution) -> np.ndarray:
    """Kolmogorov–Smirnov distances of histograms (…, k) to the published one, as a share of the largest.

    The largest is that of the worse of two populations: all in the first bin, or all in the last (Marques et
    al. 2021). NaN for an empty histogram.
    """
    total = counts.sum(-1, keepdims=True)
    share = np.where(total > 0, counts / np.maximum(total, 1), np.nan)
    apart = np.abs(np.cumsum(share - published.share, -1)).max(-1)
    return apart / max(1 - published.share[0], 1 - published.share[-1])


@dataclass(frozen=True)
class Likeness:
    """How like V1 a population is.

    ``distances`` by property, NaN where fewer than ``LEAST_UNITS`` have it; ``value``, one less their mean;
    ``spread``, its standard deviation over resampled units; ``ceiling``, the value of as many cells drawn
    from the published distributions, on average: few cells never match a distribution."""

    distances: dict[str, float]
    value: float
    spread: float
    ceiling: float


def likeness(properties: dict[str, np.ndarray], *, seed: int) -> Likeness:
    """The likeness of units to V1. ``properties``: property → values (units,), NaN where not defined."""
    distances, resampled, drawn = dict.fromkeys(PUBLISHED, np.nan), [], []
    for name, published in PUBLISHED.items():
        counts = histogram(properties[name], published)
        if counts.sum() < LEAST_UNITS:
            continue
        distances[name] = float(distance(counts, published))
        generator = numpy_generator(seed, "tuning", "likeness", name)
        for share, found in ((counts / counts.sum(), resampled), (published.share, drawn)):
            found.append(distance(generator.multinomial(counts.sum(), share, DRAWS), published))
    if not drawn:
        return Likeness(distances, np.nan, np.nan, np.nan)
    value = 1 - np.nanmean(list(distances.values()))
    spread = np.mean(resampled, 0).std()
    return Likeness(distances, float(value), float(spread), float(1 - np.mean(drawn)))
