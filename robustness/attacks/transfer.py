"""Transfer: do the adversarial examples of one model fool another?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from robustness.attacks.evaluation import Setup
from robustness.attacks.validation import check_images
from robustness.errors import UserError

COLUMNS = ("source", "target", "norm", "epsilon", "accuracy", "fooled", "n")


def transfer(
    target: nn.Module,
    name: str,
    adversarials: Mapping[str, Tensor],
    clean: Tensor,
    labels: Tensor,
    epsilon: float,
    setup: Setup,
    *,
    samples: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """One column of the transfer matrix: what the images made for each source do to one target.

    adversarials: source model → (K, C, H, W) in [0, 1], made within ``epsilon`` for the first K rows of
    ``clean`` (N, C, H, W) and ``labels`` (N,), as in ``Outcome.adversarials``; the target's own may be
    among them. Without noise ``setup`` is used for its norm alone.

    Columns: source, target, norm, epsilon, accuracy (share of the K images that the target still has
    right), fooled (share of wrong answers among the images that it has right when clean; NaN if it has none
    right), n (those). Raises UserError for images of another shape than the clean ones.
    """
    check_images(clean, labels)
    ids = np.arange(len(clean)) if samples is None else np.asarray(samples)
    rows = []
    with setup.attacked(target, device) as attacked:
        keys = attacked.keys(ids, "score")
        right = attacked.right_share(clean, labels, keys).numpy() > 0.5
        for source, images in adversarials.items():
            count = len(images)
            if images.shape[1:] != clean.shape[1:] or count > len(clean):
                raise UserError(
                    f"adversarials of {source}: shape {tuple(images.shape)} does not fit the clean images "
                    f"{tuple(clean.shape)}"
                )
            still = attacked.right_share(images, labels[:count], keys[:count]).numpy() > 0.5
            known = right[:count]
            fooled = float((~still[known]).mean()) if known.any() else float("nan")
            accuracy = float(still.mean()) if count else float("nan")
            rows.append((source, name, setup.norm, float(epsilon), accuracy, fooled, int(known.sum())))
    return pd.DataFrame(rows, columns=list(COLUMNS))
