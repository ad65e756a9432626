"""How the robust accuracy of a model with noise depends on the EOT samples, and on what the noise does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from robustness.attacks.evaluation import Setup, attack
from robustness.attacks.registry import Suite
from robustness.statistics.proportions import wilson

COLUMNS = ("model", "noise", "eot_samples", "epsilon", "robust_accuracy", "low", "high", "n")
TOLERANCE = 0.02  # a change of robust accuracy that counts as none


def eot_sweep(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    suite: Suite,
    epsilon: float,
    counts: Sequence[int],
    setup: Setup,
    *,
    name: str = "model",
    samples: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Worst-case robust accuracy at one ε (image units) against the EOT samples per gradient.

    It goes through ``counts`` in ascending order and stops once two steps in a row changed the robust
    accuracy by at most 0.02: then it is flat. Columns as :func:`noise_modes`, and ``flat``: whether the
    change from the count before is at most that.
    """
    parts: list[pd.DataFrame] = []
    for count in sorted(counts):
        live = replace(setup, noise="live", eot_samples=count)
        found = attack(model, images, labels, suite, [epsilon], live, samples=samples, device=device)
        part = _summary(name, "live", count, found.table)
        before = parts[-1]["robust_accuracy"].iloc[0] if parts else float("nan")
        part["flat"] = abs(part["robust_accuracy"] - before) <= TOLERANCE
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
    setup: Setup,
    *,
    name: str = "model",
    samples: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Worst-case robust accuracy with the noise live, frozen (one field for attack and evaluation) and off,
    and ``transferred``: under live noise of the images that were found with it off.

    Columns: model, noise, eot_samples, epsilon (0: clean accuracy), robust_accuracy, low, high
    (95 % Wilson interval over images), n.
    """
    limits = [0.0, *(epsilon for epsilon in epsilons if epsilon > 0)]
    parts = []
    for mode in ("live", "frozen", "off"):
        asked = replace(setup, noise=mode)
        kept = len(images) if mode == "off" else 0
        found = attack(model, images, labels, suite, limits, asked, samples=samples, device=device, keep=kept)
        parts.append(_summary(name, mode, setup.eot_samples if mode == "live" else 1, found.table))
    ids = np.arange(len(images)) if samples is None else np.asarray(samples)
    with replace(setup, noise="live").attacked(model, device) as attacked:
        keys = attacked.keys(ids, "transferred")
        clean = attacked.right_share(images, labels, keys) > 0.5
        shares = {e: attacked.right_share(x, labels, keys) for e, x in found.adversarials.items()}
    judged = [pd.DataFrame({"epsilon": e, "robust": clean & (right > 0.5)}) for e, right in shares.items()]
    parts.append(_summary(name, "transferred", 1, pd.concat(judged)))
    return pd.concat(parts, ignore_index=True)


def _summary(name: str, noise: str, eot_samples: int, table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for epsilon, part in table[np.isfinite(table["epsilon"])].groupby("epsilon", sort=True):
        found = wilson(int(part["robust"].sum()), len(part))
        rows.append((name, noise, eot_samples, float(epsilon), found.value, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=list(COLUMNS))
