"""The gradient on clean images: how far a linear model would be from its boundary, and whether noise hides
the direction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from robustness.attacks import geometry
from robustness.attacks.evaluation import Setup
from robustness.attacks.losses import margin

DUAL = {"linf": "l1", "l2": "l2", "l1": "linf"}
COLUMNS = ("model", "noise", "norm", "sample", "object", "distance", "agreement")


def gradients(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    setup: Setup,
    *,
    name: str = "model",
    samples: Sequence[int] | np.ndarray | None = None,
    objects: Sequence[str] | np.ndarray | None = None,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """One row per clean image: ``distance``, its margin (the label's logit less the largest other one) over
    the dual norm of the margin's gradient, in image units, which is the distance to the boundary of a linear
    model (Hein & Andriushchenko 2017 bound it likewise); 0 where the image is misclassified, infinite where
    the gradient is 0. ``agreement``: the cosine between two gradients.

    images: (N, C, H, W) float32 in [0, 1]; labels: (N,) int. Margins and gradients are means over
    ``setup.eot_samples`` samples of the noise; of a model with noise the two are over samples of their own
    (1: the noise does not change the direction; 0: it hides it), and margin and gradient are the means of
    both. Without noise there is one, and the agreement is 1. Other columns: model, noise (as in ``setup``,
    ``none`` without), norm, sample, object.
    """
    ids = np.arange(len(images)) if samples is None else np.asarray(samples)
    with setup.attacked(model, device) as attacked:
        keys = [attacked.keys(ids, "gradients", turn) for turn in range(2 if attacked.stochastic else 1)]
        rows = max(1, setup.batch_size // attacked.eot_samples)
        parts = []
        for part in torch.arange(len(images)).split(rows):
            x, y = attacked.place(images[part]), labels[part].to(attacked.device)
            many = y.repeat(attacked.eot_samples)
            asked = [
                attacked.query(x, lambda z, many=many: margin(z, many), y, own[part], gradient=True)
                for own in keys
            ]
            value = torch.stack([-answer.value for answer in asked]).mean(0)
            slopes = torch.stack([answer.gradient for answer in asked])
            distance = value / geometry.size(slopes.mean(0), DUAL[setup.norm])
            agreement = functional.cosine_similarity(*slopes[[0, -1]].flatten(2), dim=1)
            parts.append(torch.stack([torch.where(value > 0, distance, 0.0), agreement]).cpu())
        noise = setup.noise if attacked.has_noise else "none"
    distance, agreement = torch.cat(parts, dim=1).numpy()
    table = pd.DataFrame({"sample": ids, "object": ids.astype(str) if objects is None else objects})
    table = table.assign(distance=distance, agreement=agreement, model=name, noise=noise, norm=setup.norm)
    return table[list(COLUMNS)]
