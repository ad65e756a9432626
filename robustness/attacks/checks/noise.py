"""Checks for models with noise (number 11): is the average over noise robust, or is the gradient hidden?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from robustness.attacks.checks.context import CheckContext
from robustness.attacks.checks.strength import missed
from robustness.attacks.checks.verdict import Check, warn_above
from robustness.attacks.engine import search
from robustness.attacks.evaluation import Setup
from robustness.attacks.pgd import PGD


def check(context: CheckContext) -> Iterator[Check]:
    """eot_flat, frozen_noise, noise_off, score_interval."""
    setup, count = context.setup, context.model.eot_samples
    broken = _made_by(context, replace(setup, eot_samples=2 * count), "live")
    detail = f"share that PGD with {2 * count} EOT samples breaks, the suite with {count} not"
    yield missed(context, "eot_flat", broken, detail)
    for noise, name in (("frozen", "frozen_noise"), ("off", "noise_off")):
        broken = _made_by(context, replace(setup, noise=noise), noise)
        detail = f"share that images made with the noise {noise} break under live noise, the suite not"
        yield missed(context, name, broken, detail)
    yield score_interval(context)


def _made_by(context: CheckContext, setup: Setup, stream: str) -> np.ndarray:
    """(n,) bool: which robust images are misclassified, under live noise, after PGD with another setup?"""
    rows = context.robust
    images, labels, ids = context.images[rows], context.labels[rows], context.ids[rows]
    with setup.attacked(context.model.model, context.model.device) as other:
        found = search(
            PGD(steps=context.scale.steps), other, images, labels, ids, context.epsilon,
            batch_size=setup.batch_size, stream=stream,
        )  # fmt: skip
    return context.broken(found.images, rows)


def score_interval(context: CheckContext) -> Check:
    """Few images may be undecided: their interval of right answers contains one half."""
    rows = context.worst_rows.query("epsilon == @context.epsilon and clean_correct")
    undecided = (rows["low"] < 0.5) & (rows["high"] > 0.5)
    share = float(undecided.mean()) if len(rows) else 0.0
    detail = f"share of images that {context.model.eval_samples} evaluation samples do not decide"
    return warn_above("score_interval", share, 0.1, detail)
