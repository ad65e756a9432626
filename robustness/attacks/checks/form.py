"""Checks of form (numbers 1, 2 and 13): is the threat model kept, and the worst case per example?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from robustness.attacks import geometry
from robustness.attacks.checks.context import CheckContext
from robustness.attacks.checks.verdict import Check, at_most, warn_above
from robustness.attacks.pgd import PGD
from robustness.attacks.validation import looks_like_probabilities
from robustness.statistics.proportions import wilson


def check(context: CheckContext) -> Iterator[Check]:
    """epsilon_zero, perturbation_size, image_range, logits, batch_independence, worst_case, sample_size."""
    yield epsilon_zero(context)
    yield from images_within(context)
    yield from answers(context)
    yield worst_case(context)
    yield sample_size(context)


def epsilon_zero(context: CheckContext) -> Check:
    """An attack at ε = 0 must change no answer, image by image."""
    rows = np.arange(len(context.ids))[: context.scale.samples]
    found = context.search(PGD(steps=2), rows, 0.0, stop_early=False)
    changed = context.broken(found.images, rows) != ~context.clean_correct[rows]
    return at_most("epsilon_zero", changed.mean(), 0, "share of answers changed by an attack at ε = 0")


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
    checked = any(len(images) for images in context.outcome.adversarials.values())
    unknown = float("nan")
    yield at_most(
        "perturbation_size", excess if checked else unknown, 1e-6, "largest ‖δ‖ − ε (relative above ε = 1)"
    )
    yield at_most("image_range", outside if checked else unknown, 0, "largest step of a pixel out of [0, 1]")


def answers(context: CheckContext) -> Iterator[Check]:
    """The model gives logits, and the answer to an image does not depend on the others in the batch."""
    rows = np.arange(len(context.ids))[: min(8, context.scale.samples)]
    images, keys = context.images[rows], context.score_keys[rows]
    together = context.model.logits(images, keys)
    yield at_most("logits", float(looks_like_probabilities(together)), 0, "1: the answers are probabilities")
    alone = torch.cat([context.model.logits(images[i : i + 1], keys[i : i + 1]) for i in range(len(rows))], 1)
    spread = (together - together.mean(-1, keepdim=True)).abs().amax().clamp_min(1e-12)
    change = float((alone - together).abs().amax() / spread)
    yield at_most(
        "batch_independence",
        change,
        1e-3,
        "largest change of a logit, alone against in a batch, relative to the largest",
        fail_above=1e-2,
    )


def worst_case(context: CheckContext) -> Check:
    """The worst case is wrong wherever any attack is."""
    table = context.outcome.table
    fixed = table[(table["attack"] != "worst") & np.isfinite(table["epsilon"])]
    every = fixed.groupby(["epsilon", "sample"])["robust"].all()
    worst = context.worst_rows.set_index(["epsilon", "sample"])["robust"]
    hidden = worst.reindex(every.index) & ~every
    for _, part in table[np.isinf(table["epsilon"])].groupby("attack"):
        distance = part.set_index("sample")["distance"]
        for epsilon in context.worst.index:
            near = distance.index[(distance <= epsilon).to_numpy()]
            hidden = np.append(hidden, worst.loc[epsilon].reindex(near).to_numpy(dtype=bool))
    return at_most(
        "worst_case", float(np.sum(hidden)), 0, "images robust in the worst case, broken by an attack"
    )


def sample_size(context: CheckContext) -> Check:
    """The robust accuracy is known to within a tenth."""
    robust = context.worst.loc[context.epsilon].to_numpy(dtype=bool)
    interval = wilson(int(robust.sum()), len(robust))
    half = (interval.high - interval.low) / 2
    return warn_above(
        "sample_size", half, 0.1, f"half the 95 % interval of robust accuracy, n = {len(robust)}"
    )
