"""Runs all checks on one evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from robustness.attacks.checks import form, gradients, noise, strength
from robustness.attacks.checks.subject import Scale, Subject, reference_epsilon
from robustness.attacks.checks.verdict import Check, at_most, table
from robustness.attacks.engine import search
from robustness.attacks.evaluation import Outcome, Setup
from robustness.attacks.pgd import PGD
from robustness.attacks.victim import Victim

CONTROL_EPSILON = 8 / 255


def run(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    outcome: Outcome,
    setup: Setup,
    *,
    samples: Sequence[int] | None = None,
    name: str = "model",
    device: torch.device | str = "cpu",
    twin: nn.Module | None = None,
    others: Mapping[str, Tensor] | None = None,
    scale: Scale | None = None,
    epsilon: float | None = None,
) -> pd.DataFrame:
    """The table ``checks`` of one evaluation made by :func:`robustness.attacks.attack`.

    images, labels, samples, setup: as given to it; ``outcome`` must hold adversarial images (``keep`` above
    0).
    twin: the undefended model that must fall at 8/255 (``model`` itself if it has no defence; None leaves the
    positive control out). others: adversarial images (K, C, H, W) of other models for the same first K
    samples at ``epsilon``. epsilon: where single attacks are compared; :func:`reference_epsilon` unless
    given.
    """
    scale = scale or Scale()
    images, labels = images.detach().float(), labels.long()
    ids = np.arange(len(images)) if samples is None else np.asarray(samples)
    with _victim(model, setup, device) as victim:
        budget = reference_epsilon(outcome.table) if epsilon is None else epsilon
        subject = Subject(victim, images, labels, ids, outcome, setup, budget, scale)
        found = list(_checks(subject, others))
    if twin is not None:
        found.append(positive_control(twin, images, labels, ids, setup, device, scale))
    return table(name, found)


def _victim(model: nn.Module, setup: Setup, device: torch.device | str) -> Victim:
    return Victim(
        model,
        device=device,
        draws=setup.draws,
        score_draws=setup.score_draws,
        noise=setup.noise,
        seed=setup.seed,
    )


def _checks(subject: Subject, others: Mapping[str, Tensor] | None) -> Iterator[Check]:
    if not len(subject.rows):
        yield Check("samples", "fail", 0, 1, "samples that are right when clean: nothing to break")
        return
    yield from form.check(subject)
    yield from gradients.check(subject)
    yield from strength.check(subject, others)
    if subject.victim.stochastic:
        yield from noise.check(subject)


def positive_control(
    twin: nn.Module,
    images: Tensor,
    labels: Tensor,
    ids: np.ndarray,
    setup: Setup,
    device: torch.device | str,
    scale: Scale,
) -> Check:
    """The undefended twin must fall to about 0 at L∞ 8/255, by the same engine."""
    rows = np.arange(len(images))[: scale.samples]
    with _victim(twin, setup, device) as victim:
        attack = PGD(norm="linf", steps=scale.steps)
        found = search(attack, victim, images[rows], labels[rows], ids[rows], CONTROL_EPSILON, stream="twin")
        right = victim.right_share(found.images, labels[rows], victim.keys(ids[rows], "score")) > 0.5
    return at_most(
        "positive_control",
        float(right.float().mean()),
        0.05,
        "robust accuracy of the undefended twin at L∞ 8/255",
        fail_above=0.25,
    )
