"""What the pictures of a report need: examples, losses over steps, sizes of perturbations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from robustness.attacks.evaluation import Outcome, Setup
from robustness.attacks.registry import plan
from robustness.attacks.victim import Victim
from robustness.errors import UserError


@dataclass(frozen=True)
class Examples:
    """Images to show, K rows. ``clean`` and ``adversarial`` are (K, C, H, W) in [0, 1]; ``difference`` is
    0.5 + ``scale``·(adversarial − clean), so that grey is no change and a change of ε reaches the end of
    the range. ``rows`` (K,) number the samples of the evaluation; ``before`` and ``after`` (K,) are the
    model's answers."""

    epsilon: float
    scale: float
    rows: np.ndarray
    labels: np.ndarray
    before: np.ndarray
    after: np.ndarray
    clean: Tensor
    adversarial: Tensor
    difference: Tensor


def examples(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    outcome: Outcome,
    epsilon: float,
    count: int = 4,
    setup: Setup | None = None,
    *,
    samples: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
) -> Examples:
    """Up to ``count`` samples that the model has right when clean and wrong within ``epsilon``, of different
    labels as far as there are, from the adversarial images that ``outcome`` holds.

    Raises UserError if ``outcome`` holds none at this ε.
    """
    setup = setup or Setup()
    if epsilon not in outcome.adversarials:
        known = ", ".join(f"{value:g}" for value in outcome.adversarials)
        raise UserError(f"examples: no adversarial images at ε = {epsilon:g}; there are {known}")
    strongest = outcome.adversarials[epsilon]
    worst = outcome.table.query("attack == 'worst' and epsilon == @epsilon")
    fell = (worst["clean_correct"] & ~worst["robust"]).to_numpy()[: len(strongest)]
    rows = _spread(np.flatnonzero(fell), labels.cpu().numpy(), count)
    ids = np.arange(len(images)) if samples is None else np.asarray(samples)
    clean, adversarial = images[rows].cpu().float(), strongest[torch.from_numpy(rows)]
    victim = Victim(model, device=device, score_draws=setup.score_draws, noise=setup.noise, seed=setup.seed)
    with victim:
        keys = victim.keys(ids[rows], "score")
        before, after = (_majority(victim, x, keys) for x in (clean, adversarial))
    reach = float((adversarial - clean).abs().amax()) if len(rows) else 1.0
    scale = 0.5 / (epsilon if setup.norm == "linf" else max(reach, 1e-12))
    difference = (0.5 + scale * (adversarial - clean)).clamp(0, 1)
    return Examples(
        epsilon, scale, rows, labels.cpu().numpy()[rows], before, after, clean, adversarial, difference
    )


def _spread(rows: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """``count`` of the rows, one of every label first."""
    turn: dict[int, int] = {}
    order = []
    for row in rows:
        turn[labels[row]] = turn.get(labels[row], 0) + 1
        order.append(turn[labels[row]])
    return rows[np.argsort(np.array(order, dtype=int), kind="stable")][:count]


def _majority(victim: Victim, x: Tensor, keys: Tensor) -> np.ndarray:
    """(n,) the answer that most noise draws give."""
    if len(x) == 0:
        return np.zeros(0, dtype=np.int64)
    return victim.logits(x, keys).argmax(-1).mode(0).values.numpy()


def loss_over_steps(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: str,
    epsilon: float,
    setup: Setup | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    name: str = "model",
    samples: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """The loss that an iterative attack raises, at every step of its first start, no sample leaving early.

    Columns: model, attack, norm, epsilon, step (0: the first point), loss (mean over samples), low, high
    (quartiles over samples), broken (share of samples broken up to this step). Raises UserError for an
    attack that has no steps of this kind.
    """
    from robustness.attacks.engine import search
    from robustness.attacks.iterative import IterativeAttack

    setup = setup or Setup()
    (planned,) = plan({attack: settings or {}}, setup.norm)
    built = planned.build()
    if not isinstance(built, IterativeAttack):
        raise UserError(f"attack {attack}: has no loss over steps; use pgd, apgd_ce, apgd_dlr or square")
    built.restarts = 1
    ids = np.arange(len(images)) if samples is None else np.asarray(samples)
    victim = Victim(model, device=device, draws=setup.draws, noise=setup.noise, seed=setup.seed)
    with victim:
        found = search(
            built,
            victim,
            images.float(),
            labels.long(),
            ids,
            epsilon,
            batch_size=setup.batch_size,
            stop_early=False,
            trace=True,
        )
    low, high = np.quantile(found.losses, [0.25, 0.75], axis=0)
    return pd.DataFrame(
        {
            "model": name,
            "attack": attack,
            "norm": setup.norm,
            "epsilon": float(epsilon),
            "step": np.arange(built.steps + 1),
            "loss": found.losses.mean(0),
            "low": low,
            "high": high,
            "broken": np.maximum.accumulate(found.wrong > 0.5, axis=1).mean(0),
        }
    )


def perturbation_sizes(table: pd.DataFrame) -> pd.DataFrame:
    """The size of the smallest perturbation known to break each sample, from a table ``attacks``.

    Columns: model, norm, sample, distance (image units; 0: wrong when clean, inf: never broken), by (the
    attack). With attacks at fixed ε alone a size is an upper bound; add ``fmn`` or ``deepfool`` for close
    ones.
    """
    rows = table[table["attack"] != "worst"].copy()
    rows["distance"] = rows["distance"].where(~rows["robust"].astype(bool)).fillna(np.inf)
    order = rows.sort_values("distance", kind="stable")
    first = order.drop_duplicates(["model", "norm", "sample"]).sort_values(["model", "norm", "sample"])
    by = first["attack"].where(np.isfinite(first["distance"]), "").where(first["distance"] != 0, "clean")
    return first.assign(by=by)[["model", "norm", "sample", "distance", "by"]].reset_index(drop=True)
