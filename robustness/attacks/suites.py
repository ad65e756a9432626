"""The suites by name: ladders of attacks, of which each rung is stronger than the one before.

``standard`` holds the four attacks of AutoAttack's standard version (Croce & Hein 2020): APGD on the
cross-entropy, targeted APGD on every other class up to nine, a minimum-norm attack (foolbox's FMN in L∞ and
L1, DeepFool in L2, in the place of FAB) and Square. For an image that withstands all, its first two rungs
cost about an eighth of AutoAttack's standard version, all four a quarter more than that. A model with noise
gets ``stochastic`` in its place: the same attacks with gradients averaged over 8, 16 and 32 samples of it.
``quick`` is for a smoke run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robustness.attacks.registry import Planned, Suite, plan
from robustness.errors import UserError, nearest

MINIMUM_NORM = {"linf": "fmn", "l2": "deepfool", "l1": "fmn"}


@dataclass(frozen=True)
class Rung:
    """Attacks that run one after the other, each on the images that stand.

    eot_samples: of a model with noise, the samples of it over which a gradient is averaged (None: as the
    evaluation's setup).
    """

    attacks: Suite
    eot_samples: int | None = None

    def plan(self, norm: str) -> tuple[Planned, ...]:
        """Its attacks in a norm, checked against the registry."""
        return plan(self.attacks, norm)


def _strong(norm: str, steps: int, targets: int, minimum: int = 0, queries: int = 0) -> Suite:
    """APGD on the cross-entropy, unless L1 then PGD; and what else has a cost above 0."""
    if norm == "l1":  # APGD and Square are of L∞ and L2
        attacks: dict[str, Mapping[str, Any]] = {"pgd": {"steps": steps * (1 + targets)}}
    else:
        attacks = {"apgd_ce": {"steps": steps}}
        if targets:
            attacks["apgd_targeted"] = {"steps": steps, "targets": targets}
    if minimum:
        attacks[MINIMUM_NORM[norm]] = {"steps": minimum}
    if queries and norm != "l1":
        attacks["square"] = {"steps": queries}
    return attacks


def _targeted(norm: str, steps: int, targets: int) -> Suite:
    """Targeted APGD alone; in L1 as many steps of PGD."""
    if norm == "l1":
        return {"pgd": {"steps": steps * targets}}
    return {"apgd_targeted": {"steps": steps, "targets": targets}}


def _standard(norm: str) -> tuple[Rung, ...]:
    return (
        Rung(_strong(norm, 20, 0, minimum=50)),
        Rung(_strong(norm, 40, 0) | _strong(norm, 20, 9, 100)),
        Rung(_strong(norm, 100, 0) | _strong(norm, 50, 9, 200, 1000)),
        Rung(_strong(norm, 200, 0) | _strong(norm, 100, 9, 500, 5000)),
    )


def _stochastic(norm: str) -> tuple[Rung, ...]:
    return (
        Rung(_strong(norm, 30, 0), eot_samples=8),
        Rung(_targeted(norm, 20, 2), eot_samples=8),
        Rung(_strong(norm, 50, 0) | _targeted(norm, 20, 4), eot_samples=16),
        Rung(_strong(norm, 100, 0) | _strong(norm, 20, 9, 50, 1000), eot_samples=32),
    )


def _quick(norm: str) -> tuple[Rung, ...]:
    return (Rung({"pgd": {"steps": 10}}),)


SUITES = {"quick": _quick, "standard": _standard, "stochastic": _stochastic}
OF_NOISE = {"standard": "stochastic"}
"""The suite that a model with noise gets in the place of another."""


def ladder(
    suite: str | Sequence[Suite], norm: str, rungs: int | None = None, *, noisy: bool = False
) -> tuple[Rung, ...]:
    """The rungs of a suite in a norm, the first ``rungs`` of them (None: all).

    ``suite``: a name, or the attacks (name → settings) of each rung; ``noisy``: for a model with noise, which
    gets another suite by some names (:data:`OF_NOISE`). Raises UserError for an unknown suite,
    attack or setting, and a norm that an attack has not.
    """
    if isinstance(suite, str):
        if suite not in SUITES:
            raise UserError(f"suite {suite!r} is unknown; {nearest(suite, SUITES)}")
        found = SUITES[OF_NOISE.get(suite, suite) if noisy else suite](norm)
    else:
        found = tuple(Rung(attacks) for attacks in suite)
    for rung in found:
        rung.plan(norm)
    return found[:rungs]
