"""The best adversarial example of each image at each ε, over all attacks so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

WORST = "worst"  # the label of the rows of the worst case over a suite
_ROUNDING = 1e-6  # a perturbation of size ε·(1 + 1e-6) still counts as ε: float32 has no finer


class BestAdversarials:
    """The strongest adversarial examples known for N images at each ε. A perturbation counts at every ε that
    is not smaller than it.

    clean_share: (N,) share of the evaluation samples of the noise with the right answer on the clean image;
    an image is classified correctly where the share is above one half. kept: (K, C, H, W) the first K clean
    images, whose adversarial examples are kept.
    """

    def __init__(self, clean_share: np.ndarray, epsilons: Sequence[float], kept: Tensor) -> None:
        self.clean_share = clean_share
        self.clean_correct = clean_share > 0.5
        self.epsilons = tuple(epsilons)
        shape = (len(self.epsilons), len(clean_share))
        self.share = np.tile(clean_share, (len(self.epsilons), 1))  # smallest share known, at each ε
        self.distance = np.full(shape, np.inf)  # of the smallest adversarial perturbation
        self.by = np.full(shape, "", dtype=object)
        self.images = kept.numpy()[None].repeat(len(self.epsilons), 0).copy()
        self.attacked: dict[tuple[str, float | None], np.ndarray] = {}
        self.minimal: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.distance[:, ~self.clean_correct] = 0
        self.by[:, ~self.clean_correct] = "clean"

    def robust_at(self, epsilon: float) -> np.ndarray:
        """(N,) bool: classified correctly, and no adversarial example within ε known so far."""
        return self.share[self.epsilons.index(epsilon)] > 0.5

    def add(
        self,
        label: str,
        epsilon: float | None,
        rows: np.ndarray,
        share: np.ndarray,
        distance: np.ndarray,
        images: np.ndarray,
    ) -> None:
        """Take in what attack ``label`` found at ``epsilon`` (None: it minimises the perturbation).

        rows: (n,) the images it ran on; share, distance: (n,) of the example found for each; images: those of
        the rows below K.
        """
        attacked = np.zeros(len(self.clean_share), dtype=bool)
        attacked[rows] = True
        self.attacked[label, epsilon] = attacked
        if epsilon is None:
            nearest = np.full(len(attacked), np.inf)
            nearest[rows] = np.where(share <= 0.5, distance, np.inf)
            nearest[~self.clean_correct] = 0
            lowest = self.clean_share.copy()
            lowest[rows] = share
            self.minimal[label] = (nearest, lowest)
        for level, limit in enumerate(self.epsilons):
            own = limit == epsilon
            fits = np.full(len(rows), own) | (distance <= limit * (1 + _ROUNDING))
            self._strengthen(level, label, rows[fits], share[fits], distance[fits])
            if own:
                kept = rows < len(self.images[level])
                best = share[kept] <= self.share[level, rows[kept]]
                self.images[level, rows[kept][best]] = images[best]

    def _strengthen(
        self, level: int, label: str, rows: np.ndarray, share: np.ndarray, distance: np.ndarray
    ) -> None:
        broken = share <= 0.5
        first = broken & (self.share[level, rows] > 0.5)
        self.by[level, rows[first]] = label
        nearer = broken & (distance < self.distance[level, rows])
        self.distance[level, rows[nearer]] = distance[nearer]
        self.share[level, rows] = np.minimum(self.share[level, rows], share)

    def rows(self, epsilon: float | None, label: str) -> pd.DataFrame:
        """One row per image: clean_correct, robust, distance, attacked, by, right. With the label ``worst``
        ``attacked`` is true where any attack ran at any ε."""
        if epsilon is None:
            distance, share = self.minimal[label]
            by = np.where(self.clean_correct, np.where(np.isfinite(distance), label, ""), "clean")
        else:
            level = self.epsilons.index(epsilon)
            share, distance, by = self.share[level], self.distance[level], self.by[level]
        robust = self.clean_correct & (share > 0.5)
        if label == WORST:
            attacked = np.any(list(self.attacked.values()), axis=0)
        else:
            attacked = self.attacked.get((label, epsilon), np.zeros(len(share), dtype=bool))
        return pd.DataFrame(
            {
                "clean_correct": self.clean_correct,
                "robust": robust,
                "distance": np.where(robust, np.nan, distance),
                "attacked": attacked,
                "by": by.astype(object),
                "right": share.astype(np.float64),
            }
        )

    def images_by_epsilon(self) -> dict[float, Tensor]:
        """ε → (K, C, H, W) float32, what the attacks at that very ε found best; else the clean image."""
        return {
            epsilon: torch.from_numpy(images)
            for epsilon, images in zip(self.epsilons, self.images, strict=True)
        }
