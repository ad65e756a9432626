"""What is known about each sample while attacks run: where it stands, what broke it, and how far away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

_ROUNDING = 1e-6  # a perturbation of size ε·(1 + 1e-6) still counts as ε: float32 has no finer


class Record:
    """The strongest images known for N samples at each ε.

    clean_share: (N,) share of scoring draws with the right answer on the clean image. A sample is right
    where the share is above one half. kept: (K, C, H, W) the clean images of the first K samples, whose
    adversarial images are kept. inherit: whether a perturbation counts at every ε not smaller than it, or
    at its own ε alone.
    """

    def __init__(
        self, clean_share: np.ndarray, budgets: Sequence[float], kept: Tensor, *, inherit: bool = True
    ) -> None:
        self.clean_share = clean_share
        self.clean_correct = clean_share > 0.5
        self.budgets = tuple(budgets)
        self.inherit = inherit
        count, levels = len(clean_share), len(self.budgets)
        self.share = np.tile(clean_share, (levels, 1))  # smallest share known, at each ε
        self.distance = np.full((levels, count), np.inf)  # of the smallest perturbation that breaks it
        self.by = np.full((levels, count), "", dtype=object)
        self.images = kept.numpy()[None].repeat(levels, 0).copy()
        self.attacked: dict[tuple[str, float | None], np.ndarray] = {}
        self.minimal: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.distance[:, ~self.clean_correct] = 0
        self.by[:, ~self.clean_correct] = "clean"

    def standing(self, epsilon: float) -> np.ndarray:
        """(N,) bool: right on the clean image and not broken at ε so far."""
        return self.share[self.budgets.index(epsilon)] > 0.5

    def add(
        self,
        label: str,
        epsilon: float | None,
        rows: np.ndarray,
        share: np.ndarray,
        distance: np.ndarray,
        images: np.ndarray,
    ) -> None:
        """Take in what attack ``label`` found at ``epsilon`` (None: it looked for the smallest perturbation).

        rows: (n,) samples; share, distance: (n,) of the image found for each; images: those of the kept rows.
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
        for level, budget in enumerate(self.budgets):
            if epsilon is not None and not self.inherit and budget != epsilon:
                continue
            fits = distance <= budget * (1 + _ROUNDING)
            if budget == epsilon:
                fits[:] = True
            self._strengthen(level, label, rows[fits], share[fits], distance[fits])
            kept = rows < len(self.images[level])
            self._keep(level, rows[kept], fits[kept], share[kept], images, own=budget == epsilon)

    def _strengthen(
        self, level: int, label: str, rows: np.ndarray, share: np.ndarray, distance: np.ndarray
    ) -> None:
        fell = share <= 0.5
        first = fell & (self.share[level, rows] > 0.5)
        self.by[level, rows[first]] = label
        nearer = fell & (distance < self.distance[level, rows])
        self.distance[level, rows[nearer]] = distance[nearer]
        self.share[level, rows] = np.minimum(self.share[level, rows], share)

    def _keep(
        self,
        level: int,
        rows: np.ndarray,
        fits: np.ndarray,
        share: np.ndarray,
        images: np.ndarray,
        *,
        own: bool,
    ) -> None:
        """Keep the image that gives the smallest share known; at the attack's ``own`` ε also an equal one."""
        known = self.share[level, rows]
        stronger = fits & ((share <= known) if own else (share < known))
        self.images[level, rows[stronger]] = images[stronger]

    def rows(self, epsilon: float | None, label: str | None) -> pd.DataFrame:
        """One row a sample: row, clean_correct, robust, distance, attacked, by, right."""
        count = len(self.clean_share)
        if epsilon is None:
            nearest, share = self.minimal[label]
            level_by = np.where(self.clean_correct, np.where(np.isfinite(nearest), label, ""), "clean")
            distance = nearest
        else:
            level = self.budgets.index(epsilon)
            share, distance, level_by = self.share[level], self.distance[level], self.by[level]
        robust = self.clean_correct & (share > 0.5)
        if label is None:
            attacked = np.any([ran for ran in self.attacked.values()], axis=0)
        else:
            attacked = self.attacked.get((label, epsilon), np.zeros(count, dtype=bool))
        return pd.DataFrame(
            {
                "row": np.arange(count),
                "clean_correct": self.clean_correct,
                "robust": robust,
                "distance": np.where(robust, np.nan, distance),
                "attacked": attacked,
                "by": level_by.astype(object),
                "right": share.astype(np.float64),
            }
        )

    def images_by_epsilon(self) -> dict[float, Tensor]:
        """For each ε the kept images: (K, C, H, W) float32."""
        return {
            epsilon: torch.from_numpy(images)
            for epsilon, images in zip(self.budgets, self.images, strict=True)
        }
