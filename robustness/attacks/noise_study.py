"""How the robust accuracy of a model with noise depends on the draws, and on what the noise does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor, nn

from robustness.attacks.evaluation import Setup, attack
from robustness.attacks.registry import Suite
from robustness.statistics.proportions import wilson

COLUMNS = ("model", "noise", "draws", "epsilon", "robust_accuracy", "low", "high", "n")


def draws_sweep(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    suite: Suite,
    epsilon: float,
    counts: Sequence[int] = (1, 2, 4, 8, 16, 32),
    setup: Setup | None = None,
    *,
    tolerance: float = 0.02,
    name: str = "model",
    samples: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Worst-case robust accuracy at one ε against the number of draws that a gradient is averaged over.

    It goes through ``counts`` in ascending order and stops once two steps in a row changed the robust
    accuracy by at most ``tolerance``: then it is flat. Columns as :func:`noise_modes`, and ``flat``:
    whether the change from the count before is at most ``tolerance``. ``draws`` is the number of draws.
    """
    setup = setup or Setup()
    parts: list[pd.DataFrame] = []
    for count in sorted(counts):
        live = replace(setup, noise="live", draws=count)
        found = attack(model, images, labels, suite, [epsilon], live, samples=samples, device=device, keep=0)
        part = _summary(name, "live", count, found.table)
        before = parts[-1]["robust_accuracy"].iloc[0] if parts else float("nan")
        part["flat"] = abs(part["robust_accuracy"] - before) <= tolerance
        parts.append(part)
        if len(parts) > 2 and parts[-1]["flat"].all() and parts[-2]["flat"].all():
            break
    return pd.concat(parts, ignore_index=True)


def noise_modes(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    suite: Suite,
    epsilons: Sequence[float],
    modes: Sequence[str] = ("live", "frozen", "off"),
    setup: Setup | None = None,
    *,
    name: str = "model",
    samples: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Worst-case robust accuracy with the noise live, frozen (one field for attack and verdict) and off.

    Columns: model, noise, draws (of a gradient), epsilon (0: clean accuracy), robust_accuracy, low, high
    (95 % Wilson interval over samples), n.
    """
    setup = setup or Setup()
    budgets = [0.0, *(epsilon for epsilon in epsilons if epsilon > 0)]
    parts = []
    for mode in modes:
        told = replace(setup, noise=mode)
        found = attack(model, images, labels, suite, budgets, told, samples=samples, device=device, keep=0)
        parts.append(_summary(name, mode, setup.draws if mode == "live" else 1, found.table))
    return pd.concat(parts, ignore_index=True)


def _summary(name: str, noise: str, draws: int, table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for epsilon, part in table.query("attack == 'worst'").groupby("epsilon", sort=True):
        found = wilson(int(part["robust"].sum()), len(part))
        rows.append((name, noise, draws, float(epsilon), found.value, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=list(COLUMNS))
