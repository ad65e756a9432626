"""Sums per object (cluster): every score and every bootstrap resample of it is one matrix product of them.

Own code: ``scipy.stats.bootstrap`` resamples single observations, not clusters, and one statistic at a time.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np

from robustness.statistics.bootstrap import resampling_weights


@dataclass
class ClusterSums:
    """Columns of sums and counts per object, of one model; a column's name may be any hashable value.

    A column is a mean over samples split by object: ``sums[name]`` and ``counts[name]`` are (G,) float64 over
    the same G objects for all columns. An object without samples has sum and count 0.
    """

    objects: int
    sums: dict[Hashable, np.ndarray] = field(default_factory=dict)
    counts: dict[Hashable, np.ndarray] = field(default_factory=dict)

    def add(self, name: Hashable, sums: np.ndarray, counts: np.ndarray) -> None:
        """Add a column."""
        if name in self.sums:
            raise ValueError(f"column {name!r} stands there already")
        self.sums[name] = np.asarray(sums, dtype=np.float64)
        self.counts[name] = np.asarray(counts, dtype=np.float64)

    def add_samples(self, name: Hashable, objects: np.ndarray, values: np.ndarray) -> None:
        """Add a column from samples: their object's number (N,) int and their values (N,)."""
        self.add(
            name,
            np.bincount(objects, weights=values, minlength=self.objects),
            np.bincount(objects, minlength=self.objects),
        )

    def support(self, name: Hashable) -> int:
        """The number of objects that have samples in a column."""
        return int(np.count_nonzero(self.counts[name]))

    def totals(self, weights: np.ndarray) -> Totals:
        """The columns summed over objects under each row of ``weights`` (D, G)."""
        names = list(self.sums)
        if not names:
            return Totals({}, np.zeros((len(weights), 0)), np.zeros((len(weights), 0)), {})
        return Totals(
            {name: column for column, name in enumerate(names)},
            weights @ np.stack([self.sums[name] for name in names], axis=1),
            weights @ np.stack([self.counts[name] for name in names], axis=1),
            {name: self.support(name) for name in names},
        )


@dataclass(frozen=True)
class Totals:
    """Sums and counts (D, C) of the columns under D draws; draw 0 is that of the data itself."""

    columns: dict[Hashable, int]
    sums: np.ndarray
    counts: np.ndarray
    support: dict[Hashable, int]

    @property
    def draws(self) -> int:
        """The number of draws, that of the data included."""
        return len(self.sums)

    def __contains__(self, name: Hashable) -> bool:
        return name in self.columns

    def mean(self, name: Hashable) -> np.ndarray:
        """The mean over samples (D,); NaN where a draw holds no sample of the column."""
        column = self.columns[name]
        return ratio(self.sums[:, column], self.counts[:, column])

    def n(self, *names: Hashable) -> int:
        """The number of objects behind a column; the smallest of several."""
        return min((self.support[name] for name in names), default=0)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, NaN where ``below`` is 0."""
    above, below = np.broadcast_arrays(above, below)
    return np.where(below != 0, above / np.where(below != 0, below, 1.0), np.nan)


def draw_weights(objects: int, *, resamples: int, seed: int) -> np.ndarray:
    """(1 + resamples, objects): a row of ones, the data itself, above the bootstrap's counts.

    The same for every model with the same number of objects, so that models stay paired.
    """
    if objects < 2:
        return np.ones((1, objects))
    drawn = resampling_weights(objects, resamples=resamples, seed=seed)
    return np.concatenate([np.ones((1, objects)), drawn])
