"""What the checks look at: a model, its evaluation, and the few images that their own attacks run on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from pydantic import Field
from torch import Tensor

from robustness.attacks.attacked_model import AttackedModel
from robustness.attacks.best_adversarials import WORST
from robustness.attacks.engine import Found, search
from robustness.attacks.evaluation import Outcome, Setup
from robustness.attacks.iterative import IterativeAttack
from robustness.settings import Settings


class Scale(Settings):
    """How much the checks may cost.

    samples: images that the checks' own attacks run on. steps: of their PGD. longer_steps: of the one run
    that looks whether more steps would help and whether the loss has flattened (None: twice ``steps``).
    queries: of Square. near_points: random points around each image. decision_samples: images for HopSkipJump
    (about 1,500 queries each; 0 leaves it out).
    """

    samples: int = Field(default=24, ge=1)
    steps: int = Field(default=20, ge=1)
    longer_steps: int | None = Field(default=None, ge=1)
    queries: int = Field(default=100, ge=1)
    near_points: int = Field(default=100, ge=1)
    decision_samples: int = Field(default=2, ge=0)


@dataclass
class CheckContext:
    """One L∞ evaluation under check.

    model: entered. images (N, C, H, W), labels (N,), ids (N,): all of the evaluation, ``outcome`` what it
    found, ``setup`` how it ran. epsilon: where single attacks are compared, in image units.
    """

    model: AttackedModel
    images: Tensor
    labels: Tensor
    ids: np.ndarray
    outcome: Outcome
    setup: Setup
    epsilon: float
    scale: Scale

    @cached_property
    def worst_rows(self) -> pd.DataFrame:
        """The rows of the worst case over the suite, at every ε."""
        return self.outcome.table[self.outcome.table["attack"] == WORST]

    @cached_property
    def worst(self) -> pd.DataFrame:
        """(ε, image) → robust in the worst case: one row per ε, ascending, one column per image in order."""
        rows = self.worst_rows.groupby("epsilon", sort=True)
        return pd.DataFrame({epsilon: part["robust"].to_numpy() for epsilon, part in rows}).T

    @cached_property
    def clean_correct(self) -> np.ndarray:
        """(N,) bool."""
        return self.worst_rows["clean_correct"].to_numpy()[: len(self.ids)].astype(bool)

    @cached_property
    def rows(self) -> np.ndarray:
        """The first ``scale.samples`` images that are classified correctly without an attack."""
        return np.flatnonzero(self.clean_correct)[: self.scale.samples]

    @cached_property
    def robust(self) -> np.ndarray:
        """The first ``scale.samples`` images that no attack of the suite broke at ``epsilon``."""
        return np.flatnonzero(self.worst.loc[self.epsilon].to_numpy(dtype=bool))[: self.scale.samples]

    @cached_property
    def score_keys(self) -> Tensor:
        """Seeds of the evaluation samples: the same as in the evaluation."""
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

    def share(self, flags: np.ndarray) -> float:
        """Share of all the images under check that ``flags`` marks; 0 if none was looked at."""
        return float(np.sum(flags)) / max(1, self.scale.samples, len(flags)) if len(flags) else 0.0


def reference_epsilon(table: pd.DataFrame) -> float:
    """The largest ε at which the worst case leaves at least a fifth of the images robust, else the smallest:
    where an attack that is too weak would show. Raises ValueError if the table has no ε above 0."""
    worst = table[(table["attack"] == WORST) & (table["epsilon"] > 0)]
    if worst.empty:
        raise ValueError("the table has no worst case at an ε above 0")
    accuracy = worst.groupby("epsilon")["robust"].mean()
    enough = accuracy.index[accuracy >= 0.2]
    return float(enough.max() if len(enough) else accuracy.index.min())
