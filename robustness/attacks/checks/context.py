"""What the checks look at: a model, its evaluation, and the few images that their own attacks run on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from pydantic import Field
from torch import Tensor

from robustness.attacks.attacked_model import AttackedModel
from robustness.attacks.engine import Found, search
from robustness.attacks.evaluation import Outcome, Setup
from robustness.attacks.iterative import IterativeAttack
from robustness.settings import Settings


class Scale(Settings):
    """How much the checks may cost.

    samples: images that the checks' own attacks run on. black_box_images, queries: those of Square at each ε,
    where no rung of the suite ran it. near_points: random points around each image.
    """

    samples: int = Field(default=24, ge=1)
    black_box_images: int = Field(default=8, ge=1)
    queries: int = Field(default=1000, ge=1)
    near_points: int = Field(default=100, ge=1)


@dataclass
class CheckContext:
    """One L∞ evaluation under check.

    model: entered. images (N, C, H, W), labels (N,), ids (N,): all of the evaluation, ``outcome`` what it
    found, ``setup`` how it ran.
    """

    model: AttackedModel
    images: Tensor
    labels: Tensor
    ids: np.ndarray
    outcome: Outcome
    setup: Setup
    scale: Scale

    @cached_property
    def epsilons(self) -> list[float]:
        """The ε's above 0 in image units, ascending."""
        found = self.outcome.table["epsilon"].unique()
        return sorted(float(e) for e in found if 0 < e < np.inf)

    def at(self, epsilon: float) -> pd.DataFrame:
        """The rows at an ε, one per image in order."""
        return self.outcome.table[self.outcome.table["epsilon"] == epsilon].reset_index(drop=True)

    @cached_property
    def clean_correct(self) -> np.ndarray:
        """(N,) bool."""
        return self.outcome.table["clean_correct"].to_numpy()[: len(self.ids)].astype(bool)

    @cached_property
    def rows(self) -> np.ndarray:
        """The first ``scale.samples`` images that are classified correctly without an attack."""
        return np.flatnonzero(self.clean_correct)[: self.scale.samples]

    @cached_property
    def score_keys(self) -> Tensor:
        """Seeds of the evaluation samples of the noise."""
        return self.model.keys(self.ids, "score")

    def search(self, attack: IterativeAttack, rows: np.ndarray, epsilon: float, **options: object) -> Found:
        """Run an attack on the images ``rows``, with random numbers of the checks' own."""
        options = {"stream": "checks", "batch_size": self.setup.batch_size} | options
        return search(
            attack, self.model, self.images[rows], self.labels[rows], self.ids[rows], epsilon, **options
        )

    def broken(self, points: Tensor, rows: np.ndarray) -> np.ndarray:
        """(n,) bool: are the images ``points`` (n, C, H, W) misclassified, decided as in the evaluation?"""
        if len(rows) == 0:
            return np.zeros(0, dtype=bool)
        share = self.model.right_share(points, self.labels[rows], self.score_keys[rows])
        return (share <= 0.5).numpy()

    def broken_by(self, attack: IterativeAttack, rows: np.ndarray, epsilon: float) -> np.ndarray:
        """(n,) bool: which of the images ``rows`` does an attack break?"""
        return self.broken(self.search(attack, rows, epsilon).images, rows)


def standing(rows: pd.DataFrame) -> np.ndarray:
    """(N,) bool, of the rows at one ε: right when clean, and fell on no rung."""
    return ((rows["by"] != "clean") & (rows["rung"] == 0)).to_numpy()


def telling_epsilon(table: pd.DataFrame) -> float:
    """The largest ε at which at least a fifth of the images stands, else the smallest: where an attack that
    is too weak would show."""
    accuracy = table[(table["epsilon"] > 0) & (table["epsilon"] < np.inf)].groupby("epsilon")["right"].mean()
    enough = accuracy.index[accuracy >= 0.2]
    return float(enough.max() if len(enough) else accuracy.index.min())
