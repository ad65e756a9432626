"""Checks of form: is the threat model kept, and does the model answer image by image with logits?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from robustness.attacks import geometry
from robustness.attacks.checks.context import CheckContext
from robustness.attacks.checks.verdict import Check, at_most
from robustness.attacks.pgd import PGD
from robustness.attacks.validation import looks_like_probabilities


def check(context: CheckContext) -> Iterator[Check]:
    """epsilon_zero, perturbation_size, image_range, logits, batch_independence."""
    yield epsilon_zero(context)
    yield from images_within(context)
    yield from answers(context)


def epsilon_zero(context: CheckContext) -> Check:
    """An attack at ε = 0 must change no answer, image by image."""
    found = context.search(PGD(steps=2), context.rows, 0.0, stop_early=False)
    before = context.broken(context.images[context.rows], context.rows)
    changed = context.broken(found.images, context.rows) != before
    return at_most(
        "epsilon_zero", changed.mean(), 0, "share of answers changed by an attack at ε = 0", "weak"
    )


def images_within(context: CheckContext) -> Iterator[Check]:
    """The adversarial images lie in the ball and in [0, 1], and are numbers."""
    excess, outside = 0.0, 0.0
    for epsilon, images in context.outcome.adversarials.items():
        if len(images) == 0:
            continue
        sizes = geometry.size(images - context.images[: len(images)].cpu(), "linf")
        excess = max(excess, float((sizes - epsilon).max()) / max(1.0, epsilon))
        outside = max(outside, float((-images).max()), float((images - 1).max()))
        if not torch.isfinite(images).all():
            outside = float("nan")
    if not any(len(images) for images in context.outcome.adversarials.values()):
        excess = outside = float("nan")
    yield at_most("perturbation_size", excess, 1e-6, "largest ‖δ‖ − ε (relative above ε = 1)", "weak")
    yield at_most("image_range", outside, 0, "largest step of a pixel out of [0, 1]", "weak")


def answers(context: CheckContext) -> Iterator[Check]:
    """The model gives logits, and the answer to an image does not depend on the others in the batch."""
    rows = np.arange(len(context.ids))[: min(8, context.scale.samples)]
    images, keys = context.images[rows], context.score_keys[rows]
    together = context.model.logits(images, keys)
    probabilities = float(looks_like_probabilities(together))
    yield at_most("logits", probabilities, 0, "1: the answers are probabilities", "masked")
    alone = torch.cat([context.model.logits(images[i : i + 1], keys[i : i + 1]) for i in range(len(rows))], 1)
    spread = (together - together.mean(-1, keepdim=True)).abs().amax().clamp_min(1e-12)
    change = float((alone - together).abs().amax() / spread)
    detail = "largest change of a logit, alone against in a batch, relative to the largest"
    yield at_most("batch_independence", change, 1e-2, detail, "masked")
