"""The best adversarial example of each image at each ε, over all attacks so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

_ROUNDING = 1e-6  # a perturbation of size ε·(1 + 1e-6) still counts as ε: float32 has no finer
STANDS, STANDS_UNDER_NOISE = 0.5, 0.1
"""An image stands, and is attacked further, while its share of right answers is above this: with noise longer
than until most answers are wrong, since robust accuracy is the expected share."""


class BestAdversarials:
    """The strongest adversarial examples known for N images at each ε, and at any size (ε = ∞). A
    perturbation counts at every ε that is not smaller than it.

    clean_share: (N,) share of the evaluation samples of the noise with the right answer on the clean image.
    kept: (K, C, H, W) the first K clean images, whose adversarial examples are kept. stands: the share of
    right answers above which an image stands.
    """

    def __init__(
        self, clean_share: np.ndarray, epsilons: Sequence[float], kept: Tensor, stands: float = STANDS
    ) -> None:
        self.epsilons, self.stands = tuple(epsilons), stands
        self.clean_share = clean_share
        shape = (len(self.epsilons) + 1, len(clean_share))
        self.share = np.tile(clean_share, (shape[0], 1))  # smallest share known, at each ε and at ∞
        self.distance = np.full(shape, np.inf)  # of the smallest adversarial perturbation
        self.by = np.full(shape, "", dtype=object)
        self.rung = np.zeros(shape, dtype=int)  # at which it fell; 0: without an attack, or never
        self.rungs = np.zeros(shape[0], dtype=int)  # that ran at each ε
        self.right = self.share.copy()  # of answers, under the noise of the verdict, after the last rung
        self.before = self.share.copy()  # and before it
        self.images = kept.numpy()[None].repeat(shape[0], 0).copy()
        wrong = clean_share <= 0.5
        self.distance[:, wrong] = 0
        self.by[:, wrong] = "clean"

    def standing(self, epsilon: float) -> np.ndarray:
        """(N,) bool: which images are still to be attacked at an ε."""
        return self.share[self.epsilons.index(epsilon)] > self.stands

    def climbed(self, rung: int, epsilons: Sequence[float]) -> None:
        """Take down that a rung runs at these ε's, and what stands before it."""
        for epsilon in (*epsilons, np.inf):
            level = (*self.epsilons, np.inf).index(epsilon)
            self.rungs[level], self.before[level] = rung, self.right[level]

    def lowered(self, epsilon: float) -> float:
        """By how much the last rung at an ε lowered the expected share of right answers."""
        level = self.epsilons.index(epsilon)
        return float((self.before[level] - self.right[level]).mean())

    def add(
        self,
        label: str,
        rung: int,
        epsilon: float | None,
        rows: np.ndarray,
        share: np.ndarray,
        distance: np.ndarray,
        images: np.ndarray,
    ) -> None:
        """Take in what attack ``label`` found on a rung at ``epsilon`` (None: it minimises the perturbation).

        rows: (n,) the images it ran on; share, distance: (n,) of the example found for each; images: those of
        the rows below K.
        """
        kept = rows < self.images.shape[1]
        for level, limit in enumerate((*self.epsilons, np.inf)):
            fits = (limit == epsilon) | (distance <= limit * (1 + _ROUNDING))
            better = fits & (share < self.share[level, rows])
            nearer = fits & (share <= 0.5) & (distance < self.distance[level, rows])
            same = share == self.share[level, rows]
            # Of examples that break nothing the last at this very ε: it raised the loss.
            stronger = better | (same & (nearer | ((limit == epsilon) & (share > 0.5))))
            self.images[level, rows[kept & stronger]] = images[stronger[kept]]
            fell = better & (share <= self.stands) & (self.share[level, rows] > self.stands)
            self.rung[level, rows[fell]] = rung
            first = better & (share <= 0.5) & (self.share[level, rows] > 0.5)
            self.by[level, rows[first]] = label
            self.distance[level, rows[nearer]] = distance[nearer]
            self.share[level, rows[better]] = share[better]

    def rows(self, level: int) -> pd.DataFrame:
        """One row per image at an ε (by its place; the last is ∞): clean_right, clean_correct, right, before,
        robust, distance, by, rung, rungs."""
        share, clean_correct = self.right[level], self.clean_share > 0.5
        robust = clean_correct & (share > 0.5)
        return pd.DataFrame(
            {
                "clean_right": self.clean_share.astype(np.float64),
                "clean_correct": clean_correct,
                "right": share.astype(np.float64),
                "before": self.before[level].astype(np.float64),
                "robust": robust,
                "distance": np.where(robust, np.nan, self.distance[level]),
                "by": self.by[level],
                "rung": self.rung[level],
                "rungs": self.rungs[level],
            }
        )

    def images_by_epsilon(self, keep: int) -> dict[float, Tensor]:
        """ε → (keep, C, H, W) float32, the strongest known within it; the clean image where none is."""
        found = zip(self.epsilons, self.images[:-1], strict=True)
        return {epsilon: torch.from_numpy(images[:keep]) for epsilon, images in found}
