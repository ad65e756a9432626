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

COLUMNS = ("source", "target", "norm", "epsilon", "sample", "clean_right", "right")


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
    """What the images made for each source do to one target, image by image.

    adversarials: source model → (K, C, H, W) in [0, 1], made within ``epsilon`` for the first K rows of
    ``clean`` (N, C, H, W) and ``labels`` (N,), as in ``Outcome.adversarials``; the target's own may be
    among them. Without noise ``setup`` is used for its norm alone.

    Columns: source, target, norm, epsilon, sample, clean_right and right (the target's share of right
    answers on the clean and on the adversarial image; 0 or 1 without noise). Raises UserError for images of
    another shape than the clean ones.
    """
    check_images(clean, labels)
    ids = np.arange(len(clean)) if samples is None else np.asarray(samples)
    parts = []
    with setup.attacked(target, device) as attacked:
        keys = attacked.keys(ids, "score")
        clean_right = attacked.right_share(clean, labels, keys).numpy()
        for source, images in adversarials.items():
            count = len(images)
            if images.shape[1:] != clean.shape[1:] or count > len(clean):
                raise UserError(
                    f"adversarials of {source}: shape {tuple(images.shape)} does not fit the clean images "
                    f"{tuple(clean.shape)}"
                )
            part = pd.DataFrame({"sample": ids[:count], "clean_right": clean_right[:count]})
            part["right"] = attacked.right_share(images, labels[:count], keys[:count]).numpy()
            parts.append(part.assign(source=source))
    found = pd.concat(parts, ignore_index=True)
    return found.assign(target=name, norm=setup.norm, epsilon=float(epsilon))[list(COLUMNS)]
