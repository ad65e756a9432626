"""Checks of strength (numbers 3 to 7 and 9): would a stronger or another attack have found more?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from robustness.attacks import geometry
from robustness.attacks.checks.subject import Subject
from robustness.attacks.checks.verdict import Check, at_most, warn_above
from robustness.attacks.pgd import PGD
from robustness.attacks.random_noise import RandomNoise
from robustness.attacks.square import Square

_NEW, _MANY = 0.02, 0.05  # share of samples that another attack may break: pass, warn; above: fail


def check(subject: Subject, others: Mapping[str, Tensor] | None = None) -> Iterator[Check]:
    """monotone, inferred, unbounded, beats_fgsm, more_steps, loss_flat, silent_success, black_box,
    decision_based, random_noise, and transfer if adversarial images of ``others`` are given."""
    yield from without_inference(subject)
    yield unbounded(subject)
    yield single_step(subject)
    yield from longer(subject)
    yield black_box(subject)
    if subject.scale.decision_samples:
        yield decision_based(subject)
    yield random_noise(subject)
    if others:
        yield transfer(subject, others)


def _missed(subject: Subject, name: str, flags: np.ndarray, detail: str) -> Check:
    return at_most(name, subject.share(flags), _NEW, detail, fail_above=_MANY)


def without_inference(subject: Subject) -> Iterator[Check]:
    """Every ε attacked from scratch: robust accuracy must fall with ε, and agree with what the sweep
    inferred."""
    rows, norm = subject.rows, subject.setup.norm
    attack = PGD(norm=norm, steps=subject.scale.steps)
    accuracy, contradicted = [1.0], np.zeros(len(rows), dtype=bool)
    for epsilon in subject.worst.index[subject.worst.index > 0]:
        fell = subject.broken(subject.search(attack, rows, float(epsilon)).images, rows)
        accuracy.append(1 - fell.mean() if len(rows) else 1.0)
        contradicted |= fell & subject.worst.loc[epsilon].to_numpy(dtype=bool)[rows]
    rise = max(0.0, float(np.max(np.diff(accuracy)))) if len(accuracy) > 1 else 0.0
    yield at_most(
        "monotone",
        rise,
        0,
        "largest rise of robust accuracy to a larger ε, without warm start",
        fail_above=_MANY,
    )
    yield _missed(
        subject, "inferred", contradicted, "share called robust at some ε, broken there from scratch"
    )


def unbounded(subject: Subject) -> Check:
    """With a budget that allows a grey image, robust accuracy must fall to chance."""
    rows, norm = subject.rows, subject.setup.norm
    values = subject.images[0].numel()
    epsilon = {"linf": 0.5, "l2": 0.5 * values**0.5, "l1": 0.5 * values}[norm]
    attack = PGD(norm=norm, steps=2 * subject.scale.steps)
    fell = subject.broken(subject.search(attack, rows, epsilon).images, rows)
    robust = 1 - fell.mean() if len(rows) else 0.0
    chance = 1 / subject.victim.classes
    return at_most("unbounded", robust, chance, f"robust accuracy at ε = {epsilon:g}; the limit is chance")


def single_step(subject: Subject) -> Check:
    """One step of size ε from the clean image must break nothing that the suite left standing."""
    rows = subject.standing
    attack = PGD(norm=subject.setup.norm, steps=1, rel_stepsize=1.0, random_start=False)
    fell = (
        subject.broken(subject.search(attack, rows, subject.epsilon).images, rows) if len(rows) else rows > 0
    )
    return _missed(
        subject, "beats_fgsm", fell, "share that one step of the gradient sign breaks, the suite not"
    )


def longer(subject: Subject) -> Iterator[Check]:
    """More steps and another start add almost nothing; the loss has flattened; no success was lost."""
    rows, steps = subject.standing, subject.scale.longer_steps or 2 * subject.scale.steps
    attack = PGD(norm=subject.setup.norm, steps=steps)
    if len(rows) == 0:
        fell, range_, silent, hidden = rows > 0, 0.0, rows > 0, 0.0
    else:
        found = subject.search(attack, rows, subject.epsilon, stop_early=False, trace=True, stream="longer")
        fell = subject.broken(found.images, rows)
        # Judged as the returned image is: of many noisy looks on the way, one is wrong by chance.
        seen = subject.broken(found.wrongest, rows)
        silent = seen & ~fell
        hidden = float((seen & (found.wrong[:, -1] <= 0.5)).mean())
        range_ = flatness(found.losses)
    yield _missed(subject, "more_steps", fell, f"share that PGD with {steps} steps breaks, the suite not")
    yield at_most(
        "loss_flat", range_, 0.05, "rise of the loss in the last 10 steps, of its range", fail_above=0.2
    )
    yield _missed(
        subject,
        "silent_success",
        silent,
        f"share broken on the way but not in the image returned (last iterate alone: {hidden:.2g})",
    )


def flatness(losses: np.ndarray, last: int = 10) -> float:
    """How much the loss still rises in the last steps, as a share of its whole rise: 0 where it has
    flattened.

    losses: (n, steps + 1). After Pintor et al. 2022, indicator 4, with means of half of the last steps
    against the
    other half, over all samples, in the place of single values: a loss under noise never stands still.
    """
    mean = losses.mean(0)
    late = mean[-last:]
    half = len(late) // 2
    rise = late[half:].mean() - late[:half].mean()
    whole = late[half:].mean() - mean[0]
    return float(max(0.0, rise) / whole) if whole > 1e-9 else 0.0


def black_box(subject: Subject) -> Check:
    """Square, which needs no gradient, must break nothing that the suite left standing."""
    rows, norm = subject.standing, subject.setup.norm
    if norm == "l1":
        return warn_above("black_box", 0, 0, "not run: Square has no L1")
    fell = rows > 0
    if len(rows):
        attack = Square(norm=norm, steps=subject.scale.queries)
        fell = subject.broken(subject.search(attack, rows, subject.epsilon).images, rows)
    return _missed(
        subject,
        "black_box",
        fell,
        f"share that Square ({subject.scale.queries} queries) breaks, the suite not",
    )


def decision_based(subject: Subject) -> Check:
    """HopSkipJump, which sees the class alone, must find nothing within ε that the suite missed."""
    from robustness.attacks.adopted import run_adopted
    from robustness.attacks.hop_skip_jump import HopSkipJump

    norm = "l2" if subject.setup.norm == "l1" else subject.setup.norm
    rows = subject.standing[: subject.scale.decision_samples]
    fell = rows > 0
    if len(rows):
        images, labels = subject.images[rows], subject.labels[rows]
        attack = HopSkipJump(norm=norm, steps=4, queries=50)
        points = run_adopted(
            attack, subject.victim, images, labels, subject.ids[rows], None, batch_size=1, alone=True
        )
        near = geometry.size(points - images.cpu(), subject.setup.norm).numpy() <= subject.epsilon
        fell = subject.broken(points, rows) & near
    return at_most(
        "decision_based",
        float(fell.sum()),
        0,
        f"samples of {len(rows)} that HopSkipJump breaks within ε, the suite not",
    )


def random_noise(subject: Subject) -> Check:
    """Random noise of the same size must break nothing that the suite left standing."""
    rows = subject.standing
    fell = rows > 0
    if len(rows):
        attack = RandomNoise(norm=subject.setup.norm, steps=5)
        fell = subject.broken(subject.search(attack, rows, subject.epsilon).images, rows)
    return _missed(subject, "random_noise", fell, "share that random noise of size ε breaks, the suite not")


def transfer(subject: Subject, others: Mapping[str, Tensor]) -> Check:
    """Adversarial images of other models at the same ε must break nothing that the suite left standing.

    others: model → (K, C, H, W), their adversarial images of the evaluation's first K samples.
    """
    standing = subject.worst.loc[subject.epsilon].to_numpy(dtype=bool)
    fell = np.zeros(len(standing), dtype=bool)
    count = 0
    for images in others.values():
        rows = np.flatnonzero(standing[: len(images)])[: subject.scale.samples]
        count = max(count, len(rows))
        fell[rows] |= subject.broken(geometry.project(
            images[torch.from_numpy(rows)], subject.images[rows].cpu(), subject.epsilon, subject.setup.norm
        ), rows)  # fmt: skip
    return _missed(
        subject,
        "transfer",
        fell[np.flatnonzero(standing)[:count]],
        f"share that images of {len(others)} other models break, the suite not",
    )
