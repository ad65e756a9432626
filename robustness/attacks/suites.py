"""The suites by name: ladders of attacks, of which each rung is stronger than the one before.

``standard`` holds the four attacks of AutoAttack's standard version (Croce & Hein 2020): APGD on the
cross-entropy, targeted APGD on every other class up to nine, a minimum-norm attack (foolbox's FMN in L∞ and
L1, DeepFool in L2, in the place of FAB) and Square. For an image that withstands all, its first two rungs
cost about an eighth of AutoAttack's standard version, all four a quarter more than that. A model with noise
gets ``stochastic`` in its place: the same attacks with gradients averaged over 8, 16 and 32 samples of it.
``quick`` is for a smoke run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from robustness.attacks.registry import Planned, Suite, plan
from robustness.errors import UserError, nearest

CONVERGED = 0.01
"""The next rung runs where the last one lowered the robust accuracy by this share of the images or more (the
second rung of all wherever an image stands)."""
FAR = 0.02
"""The same for an extra rung."""
MINIMUM_NORM = {"linf": "fmn", "l2": "deepfool", "l1": "fmn"}


@dataclass(frozen=True)
class Rung:
    """Attacks that run one after the other, each on the images that stand.

    eot_samples: of a model with noise, the samples of it over which a gradient is averaged (None: as the
    evaluation's setup). extra: one beyond the number that was asked for.
    """

    attacks: Suite
    eot_samples: int | None = None
    extra: bool = False

    def plan(self, norm: str) -> tuple[Planned, ...]:
        """Its attacks in a norm, checked against the registry."""
        return plan(self.attacks, norm)


def _apgd(norm: str, classes: int, steps: int, targeted: int = 0, targets: int = 9) -> Suite:
    """APGD on the cross-entropy, and targeted APGD of ``targeted`` steps for each of the targets.

    All steps go to the first where there is no second: its loss needs four classes. In L1, which APGD has
    not, they go to PGD.
    """
    if norm == "l1" or classes < TARGETED_CLASSES:
        return {"pgd" if norm == "l1" else "apgd_ce": {"steps": steps + targeted * targets}}
    attacks = {"apgd_ce": {"steps": steps}} if steps else {}
    return attacks | ({"apgd_targeted": {"steps": targeted, "targets": targets}} if targeted else {})


def _others(norm: str, minimum: int, queries: int = 0) -> Suite:
    """The minimum-norm attack, and Square, which is of L∞ and L2."""
    attacks = {MINIMUM_NORM[norm]: {"steps": minimum}}
    return attacks | ({"square": {"steps": queries}} if queries and norm != "l1" else {})


def _standard(norm: str, classes: int) -> tuple[Rung, ...]:
    return (
        Rung(_apgd(norm, classes, 20) | _others(norm, 50)),
        Rung(_apgd(norm, classes, 40, targeted=20) | _others(norm, 100)),
        Rung(_apgd(norm, classes, 100, targeted=50) | _others(norm, 200, 1000)),
        Rung(_apgd(norm, classes, 200, targeted=100) | _others(norm, 500, 5000)),
    )


def _stochastic(norm: str, classes: int) -> tuple[Rung, ...]:
    return (
        Rung(_apgd(norm, classes, 30), eot_samples=8),
        Rung(_apgd(norm, classes, 0, targeted=20, targets=2), eot_samples=8),
        Rung(_apgd(norm, classes, 50, targeted=20, targets=4), eot_samples=16),
        Rung(_apgd(norm, classes, 100, targeted=20) | _others(norm, 50, 1000), eot_samples=32),
    )


def _quick(norm: str, classes: int) -> tuple[Rung, ...]:
    return (Rung({"pgd": {"steps": 10}}),)


SUITES = {"quick": _quick, "standard": _standard, "stochastic": _stochastic}
TARGETED_CLASSES = 4
"""What the targeted loss of APGD needs at least (Croce & Hein 2020)."""
OF_NOISE = {"standard": "stochastic"}
"""The suite that a model with noise gets in the place of another."""


def ladder(
    suite: str | Sequence[Suite],
    norm: str,
    rungs: int | None = None,
    *,
    extra: int = 0,
    noisy: bool = False,
    classes: int = TARGETED_CLASSES,
) -> tuple[Rung, ...]:
    """The rungs of a suite in a norm, the first ``rungs`` of them (None: all), and ``extra`` more that run
    only where the one before broke many (:data:`FAR`), so that what is far from its end goes on.

    ``suite``: a name, or the attacks (name → settings) of each rung; ``noisy``: for a model with noise, which
    gets another suite by some names (:data:`OF_NOISE`); ``classes``: how many the model has; with fewer
    than four a named suite has no targeted attack. Raises UserError for an unknown suite, attack or setting,
    and a norm that an attack has not.
    """
    if isinstance(suite, str):
        if suite not in SUITES:
            raise UserError(f"suite {suite!r} is unknown; {nearest(suite, SUITES)}")
        found = SUITES[OF_NOISE.get(suite, suite) if noisy else suite](norm, classes)
    else:
        found = tuple(Rung(attacks) for attacks in suite)
    for rung in found:
        rung.plan(norm)
    return tuple(
        replace(rung, extra=rungs is not None and number >= rungs)
        for number, rung in enumerate(found[: None if rungs is None else rungs + extra])
    )
