"""Runs all checks on one evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from robustness.attacks import geometry
from robustness.attacks.checks import controls, form, gradients, strength
from robustness.attacks.checks.context import CheckContext, Scale
from robustness.attacks.checks.verdict import Check, table
from robustness.attacks.evaluation import Outcome, Setup


def run(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    outcome: Outcome,
    setup: Setup,
    scale: Scale,
    *,
    samples: Sequence[int] | None = None,
    name: str = "model",
    device: torch.device | str = "cpu",
    undefended: bool = False,
) -> pd.DataFrame:
    """The table ``checks`` of one L∞ evaluation made by :func:`robustness.attacks.attack`.

    images, labels, samples, setup: as given to it; ``outcome`` must hold adversarial images (``keep`` above
    0). undefended: whether the model has no defence, so that it must fall at 8/255 (the positive control).

    Raises UserError for another norm.
    """
    geometry.check_norm(setup.norm, ("linf",), who="checks")
    images, labels = images.detach().float(), labels.long()
    ids = np.arange(len(images)) if samples is None else np.asarray(samples)
    with setup.attacked(model, device) as attacked:
        context = CheckContext(attacked, images, labels, ids, outcome, setup, scale)
        return table(name, _checks(context, undefended))


def _checks(context: CheckContext, undefended: bool) -> Iterator[Check]:
    if len(context.rows):
        yield from form.check(context)
        yield from gradients.check(context)
        if not context.model.stochastic:
            yield controls.negative_control(context)
        yield from strength.check(context)
    else:
        yield Check("samples", "small", 0, 1, "images classified correctly without an attack: none to break")
    if undefended:
        yield controls.positive_control(context)
