"""Checks of form (numbers 1, 2 and 13): is what the evaluation says about the right thing at all?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from robustness.attacks import geometry
from robustness.attacks.checks.subject import Subject
from robustness.attacks.checks.verdict import Check, at_most, warn_above
from robustness.attacks.pgd import PGD
from robustness.attacks.validation import looks_like_probabilities
from robustness.statistics.proportions import wilson


def check(subject: Subject) -> Iterator[Check]:
    """epsilon_zero, perturbation_size, image_range, logits, batch_independence, worst_case, sample_size."""
    yield epsilon_zero(subject)
    yield from images_within(subject)
    yield from answers(subject)
    yield worst_case(subject)
    yield sample_size(subject)


def epsilon_zero(subject: Subject) -> Check:
    """An attack without a budget must change no answer, sample by sample."""
    rows = np.arange(len(subject.ids))[: subject.scale.samples]
    found = subject.search(PGD(norm=subject.setup.norm, steps=2), rows, 0.0, stop_early=False)
    changed = subject.broken(found.images, rows) != ~subject.clean_correct[rows]
    return at_most("epsilon_zero", changed.mean(), 0, "share of answers changed by an attack at ε = 0")


def images_within(subject: Subject) -> Iterator[Check]:
    """The adversarial images lie in the ball and in [0, 1], and are numbers."""
    norm, excess, outside = subject.setup.norm, 0.0, 0.0
    for epsilon, images in subject.outcome.adversarials.items():
        if len(images) == 0:
            continue
        sizes = geometry.size(images - subject.images[: len(images)].cpu(), norm)
        excess = max(excess, float((sizes - epsilon).max()) / max(1.0, epsilon))
        outside = max(outside, float((-images).max()), float((images - 1).max()))
        if not torch.isfinite(images).all():
            outside = float("nan")
    checked = any(len(images) for images in subject.outcome.adversarials.values())
    unknown = float("nan")
    yield at_most(
        "perturbation_size", excess if checked else unknown, 1e-6, "largest ‖δ‖ − ε (relative above ε = 1)"
    )
    yield at_most("image_range", outside if checked else unknown, 0, "largest step of a pixel out of [0, 1]")


def answers(subject: Subject) -> Iterator[Check]:
    """The model gives logits, and the answer to an image does not depend on the others in the batch."""
    rows = np.arange(len(subject.ids))[: min(8, subject.scale.samples)]
    images, keys = subject.images[rows], subject.score_keys[rows]
    together = subject.victim.logits(images, keys)
    yield at_most("logits", float(looks_like_probabilities(together)), 0, "1: the answers are probabilities")
    alone = torch.cat(
        [subject.victim.logits(images[i : i + 1], keys[i : i + 1]) for i in range(len(rows))], 1
    )
    spread = (together - together.mean(-1, keepdim=True)).abs().amax().clamp_min(1e-12)
    change = float((alone - together).abs().amax() / spread)
    yield at_most(
        "batch_independence",
        change,
        1e-3,
        "largest change of a logit, alone against in a batch, relative to the largest",
        fail_above=1e-2,
    )


def worst_case(subject: Subject) -> Check:
    """The worst case is wrong wherever any attack is."""
    table = subject.outcome.table
    fixed = table[(table["attack"] != "worst") & np.isfinite(table["epsilon"])]
    every = fixed.groupby(["epsilon", "sample"])["robust"].all()
    worst = table.query("attack == 'worst'").set_index(["epsilon", "sample"])["robust"]
    hidden = worst.reindex(every.index) & ~every
    for _, part in table[np.isinf(table["epsilon"])].groupby("attack"):
        distance = part.set_index("sample")["distance"]
        for epsilon in subject.worst.index:
            near = distance.index[(distance <= epsilon).to_numpy()]
            hidden = np.append(hidden, worst.loc[epsilon].reindex(near).to_numpy(dtype=bool))
    return at_most(
        "worst_case", float(np.sum(hidden)), 0, "samples robust in the worst case, broken by an attack"
    )


def sample_size(subject: Subject) -> Check:
    """The robust accuracy is known to within a tenth."""
    robust = subject.worst.loc[subject.epsilon].to_numpy(dtype=bool)
    interval = wilson(int(robust.sum()), len(robust))
    half = (interval.high - interval.low) / 2
    return warn_above(
        "sample_size", half, 0.1, f"half the 95 % interval of robust accuracy, n = {len(robust)}"
    )
