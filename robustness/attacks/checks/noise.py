"""Checks for models with noise (number 11): is it the average over noise that stands, or the noise that
hides?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robustness.attacks.checks.strength import _MANY, _NEW
from robustness.attacks.checks.subject import Subject
from robustness.attacks.checks.verdict import Check, at_most, warn_above
from robustness.attacks.engine import search
from robustness.attacks.pgd import PGD
from robustness.attacks.victim import Victim


def check(subject: Subject) -> Iterator[Check]:
    """draws_flat, frozen_noise, noise_off, score_interval."""
    attack = PGD(norm=subject.setup.norm, steps=subject.scale.steps)
    more = _made_by(subject, attack, draws=2 * subject.victim.draws)
    yield at_most(
        "draws_flat",
        subject.share(more),
        _NEW,
        f"share that PGD with {2 * subject.victim.draws} draws breaks, the suite with "
        f"{subject.victim.draws} not",
        fail_above=_MANY,
    )
    for noise, name in (("frozen", "frozen_noise"), ("off", "noise_off")):
        fell = _made_by(subject, attack, noise=noise)
        detail = f"share that images made with the noise {noise} break under live noise, the suite not"
        yield at_most(name, subject.share(fell), _NEW, detail, fail_above=_MANY)
    yield score_interval(subject)


def _made_by(subject: Subject, attack: PGD, *, draws: int | None = None, noise: str = "live") -> np.ndarray:
    """(n,) bool: which standing samples fall, under live noise, to images made with other noise settings."""
    rows = subject.standing
    if len(rows) == 0:
        return rows > 0
    other = Victim(
        subject.victim.model,
        device=subject.victim.device,
        draws=draws or subject.victim.draws,
        score_draws=subject.victim.score_draws,
        noise=noise,
        seed=subject.victim.seed,
    )
    with other:
        images, labels, ids = subject.images[rows], subject.labels[rows], subject.ids[rows]
        size = subject.setup.batch_size
        found = search(attack, other, images, labels, ids, subject.epsilon, batch_size=size, stream=noise)
    return subject.broken(found.images, rows)


def score_interval(subject: Subject) -> Check:
    """Few samples may be undecided: their interval of right answers contains one half."""
    rows = subject.outcome.table.query("attack == 'worst' and epsilon == @subject.epsilon and clean_correct")
    undecided = (rows["low"] < 0.5) & (rows["high"] > 0.5)
    share = float(undecided.mean()) if len(rows) else 0.0
    draws = subject.victim.score_draws
    return warn_above("score_interval", share, 0.1, f"share of samples that {draws} draws do not decide")
