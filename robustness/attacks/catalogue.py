"""Every attack by name. A builder imports its attack when it is called, so that this file stays cheap.

The cost of each, per image: fgsm 1 gradient; pgd and apgd_* ``steps`` gradients (times targets); square and
random_noise ``steps`` queries; deepfool up to ``steps`` × 9 gradients; carlini_wagner ``steps`` × 6; fmn
``steps``; hopskipjump about 100·√steps·steps queries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustness.attacks.registry import register

if TYPE_CHECKING:
    from foolbox.attacks.base import AttackWithDistance

ALL, MOST = ("linf", "l2", "l1"), ("linf", "l2")


@register("random_noise", norms=ALL)
def random_noise(norm: str, *, steps: int = 10) -> AttackWithDistance:
    """Random points of size ε: what every attack must beat."""
    from robustness.attacks.random_noise import RandomNoise

    return RandomNoise(norm=norm, steps=steps)


@register("fgsm", norms=MOST)
def fgsm(norm: str) -> AttackWithDistance:
    """One step of size ε from the clean image (Goodfellow, Shlens & Szegedy 2015); foolbox's."""
    import foolbox

    return {"linf": foolbox.attacks.LinfFastGradientAttack, "l2": foolbox.attacks.L2FastGradientAttack}[
        norm
    ]()


@register("pgd", norms=ALL)
def pgd(norm: str, *, steps: int = 50) -> AttackWithDistance:
    """Projected gradient descent on the cross-entropy, from a random start (Madry et al. 2018)."""
    from robustness.attacks.pgd import PGD

    return PGD(norm=norm, steps=steps)


@register("apgd_ce", norms=MOST)
def apgd_ce(norm: str, *, steps: int = 100) -> AttackWithDistance:
    """Auto-PGD on the cross-entropy (Croce & Hein 2020)."""
    from robustness.attacks.apgd import APGD

    return APGD(norm=norm, steps=steps, loss="ce")


@register("apgd_dlr", norms=MOST)
def apgd_dlr(norm: str, *, steps: int = 100) -> AttackWithDistance:
    """Auto-PGD on the difference of logits ratio (Croce & Hein 2020)."""
    from robustness.attacks.apgd import APGD

    return APGD(norm=norm, steps=steps, loss="dlr")


@register("apgd_targeted", norms=MOST)
def apgd_targeted(norm: str, *, steps: int = 100, targets: int = 9) -> AttackWithDistance:
    """Auto-PGD on the targeted DLR (Croce & Hein 2020), a restart for each of the likeliest wrong classes."""
    from robustness.attacks.apgd import APGD

    return APGD(norm=norm, steps=steps, loss="targeted_dlr", targets=targets)


@register("square", norms=MOST)
def square(norm: str, *, steps: int = 5000) -> AttackWithDistance:
    """Random search over squares, score-based (Andriushchenko et al. 2020)."""
    from robustness.attacks.square import Square

    return Square(norm=norm, steps=steps)


@register("deepfool", norms=MOST, kind="minimal")
def deepfool(norm: str, *, steps: int = 50) -> AttackWithDistance:
    """Steps to the nearest linearised boundary among ten classes, 2 % beyond it (Moosavi-Dezfooli et al.
    2016); foolbox's."""
    import foolbox

    attack = {"linf": foolbox.attacks.LinfDeepFoolAttack, "l2": foolbox.attacks.L2DeepFoolAttack}[norm]
    return attack(steps=steps, candidates=10, overshoot=0.02)


@register("carlini_wagner", norms=("l2",), kind="minimal")
def carlini_wagner(norm: str, *, steps: int = 200) -> AttackWithDistance:
    """Adam on distance + c·margin, with a binary search over c (Carlini & Wagner 2017); foolbox's.
    Its early abort is off: it goes by the loss of the whole batch, so that an image's result would depend on
    the others."""
    import foolbox

    return foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=6, steps=steps, stepsize=0.01, initial_const=0.1, abort_early=False
    )


@register("fmn", norms=ALL, kind="minimal")
def fmn(norm: str, *, steps: int = 100) -> AttackWithDistance:
    """Fast minimum norm: gradient steps in a ball that shrinks and grows around the boundary (Pintor et al.
    2021); foolbox's."""
    import foolbox

    attack = {
        "linf": foolbox.attacks.LInfFMNAttack,
        "l2": foolbox.attacks.L2FMNAttack,
        "l1": foolbox.attacks.L1FMNAttack,
    }[norm]
    return attack(steps=steps, max_stepsize=1.0, gamma=0.05)


@register("hopskipjump", norms=MOST, kind="minimal", alone=True)
def hopskipjump(norm: str, *, steps: int = 20) -> AttackWithDistance:
    """Walks along the decision boundary, by queries of the class alone (Chen, Jordan & Wainwright 2020)."""
    from robustness.attacks.hop_skip_jump import HopSkipJump

    return HopSkipJump(norm=norm, steps=steps)
