"""What the checks look at: a model, its evaluation, and the few samples that the checks' own attacks run
on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from robustness.attacks.engine import Found, search
from robustness.attacks.evaluation import Outcome, Setup
from robustness.attacks.iterative import IterativeAttack
from robustness.attacks.victim import Victim
from robustness.settings import Settings


class Scale(Settings):
    """How much the checks may cost. A sample is one image; costs are in samples × steps.

    samples: images that the checks' own attacks run on. steps: of their PGD. longer_steps: of the one run
    that looks whether more steps would help and whether the loss has flattened (None: twice ``steps``).
    queries: of Square. near_points: random points around each image. decision_samples: images for HopSkipJump
    (about 1,500 forward passes each; 0 leaves it out).
    """

    samples: int = Field(default=24, ge=1)
    steps: int = Field(default=20, ge=1)
    longer_steps: int | None = Field(default=None, ge=1)
    queries: int = Field(default=100, ge=1)
    near_points: int = Field(default=100, ge=1)
    decision_samples: int = Field(default=2, ge=0)


@dataclass
class Subject:
    """One evaluation under check.

    victim: entered. images, labels, ids: all N samples of the evaluation, ``outcome`` what it found,
    ``setup`` how it ran. epsilon: the budget at which single attacks are compared.
    """

    victim: Victim
    images: Tensor
    labels: Tensor
    ids: np.ndarray
    outcome: Outcome
    setup: Setup
    epsilon: float
    scale: Scale

    @cached_property
    def worst(self) -> pd.DataFrame:
        """(ε, sample) → robust, the worst case over the suite: one row an ε, one column a sample in order."""
        rows = self.outcome.table.query("attack == 'worst'")
        return pd.DataFrame(
            {epsilon: part["robust"].to_numpy() for epsilon, part in rows.groupby("epsilon", sort=True)}
        ).T

    @cached_property
    def clean_correct(self) -> np.ndarray:
        """(N,) bool."""
        rows = self.outcome.table.query("attack == 'worst'")
        return rows["clean_correct"].to_numpy()[: len(self.ids)].astype(bool)

    @cached_property
    def rows(self) -> np.ndarray:
        """The first ``scale.samples`` samples that are right on the clean image."""
        return np.flatnonzero(self.clean_correct)[: self.scale.samples]

    @cached_property
    def standing(self) -> np.ndarray:
        """The first ``scale.samples`` samples that no attack of the suite broke at ``epsilon``."""
        return np.flatnonzero(self.worst.loc[self.epsilon].to_numpy(dtype=bool))[: self.scale.samples]

    @cached_property
    def score_keys(self) -> Tensor:
        """Seeds of the scoring draws: the same as in the evaluation."""
        return self.victim.keys(self.ids, "score")

    def search(self, attack: IterativeAttack, rows: np.ndarray, epsilon: float, **options: object) -> Found:
        """Run an attack on some samples, with random numbers of the checks' own."""
        options = {"stream": "checks", "batch_size": self.setup.batch_size} | options
        return search(
            attack, self.victim, self.images[rows], self.labels[rows], self.ids[rows], epsilon, **options
        )

    def broken(self, points: Tensor, rows: np.ndarray) -> np.ndarray:
        """(n,) bool: are the images ``points`` wrong, judged as in the evaluation?"""
        if len(rows) == 0:
            return np.zeros(0, dtype=bool)
        share = self.victim.right_share(points, self.labels[rows], self.score_keys[rows])
        return (share <= 0.5).numpy()

    def share(self, flags: np.ndarray) -> float:
        """Share of all the samples under check that ``flags`` marks; 0 if none was looked at."""
        return float(np.sum(flags)) / max(1, self.scale.samples, len(flags)) if len(flags) else 0.0


def reference_epsilon(table: pd.DataFrame, least: float = 0.2) -> float:
    """The largest ε at which the worst case leaves at least a fifth of the samples standing, else the
    smallest: where an attack that is too weak would show. Raises ValueError if the table has no ε above
    0."""
    worst = table.query("attack == 'worst' and epsilon > 0")
    if worst.empty:
        raise ValueError("the table has no worst case at an ε above 0")
    accuracy = worst.groupby("epsilon")["robust"].mean()
    enough = accuracy.index[accuracy >= least]
    return float(enough.max() if len(enough) else accuracy.index.min())


def cross_entropy_gradient(subject: Subject, rows: np.ndarray) -> Tensor:
    """(n, C, H, W) on the CPU: the gradient of the cross-entropy at the clean images, as the attacks get
    it."""
    from robustness.attacks.losses import cross_entropy

    victim, width = subject.victim, max(1, subject.setup.batch_size // subject.victim.draws)
    keys = victim.keys(subject.ids[rows], "gradient check")
    parts = []
    for start in range(0, len(rows), width):
        part = rows[start : start + width]
        x, y = subject.images[part].to(victim.device), subject.labels[part].to(victim.device)
        loss = lambda logits, y=y: cross_entropy(logits, y.repeat(len(logits) // len(y)))  # noqa: E731
        parts.append(victim.query(x, loss, y, keys[start : start + width], gradient=True).gradient.cpu())
    return torch.cat(parts)
