"""foolbox's own attacks under the registry's names and settings."""

from __future__ import annotations

import eagerpy as ep
import foolbox.attacks as foolbox
from foolbox.attacks.base import AttackWithDistance
from foolbox.devutils import atleast_kd, flatten

from robustness.attacks.registry import register


class L2FMN(foolbox.L2FMNAttack):
    """foolbox's, with a projection that projects: its own (3.3.4) scales by min(1, norm / norm), which is 1,
    so that it stops at the first crossing in steps of length 1."""

    def project(self, x: ep.Tensor, x0: ep.Tensor, epsilon: ep.Tensor) -> ep.Tensor:
        norms = ep.maximum(flatten(x - x0).norms.l2(axis=-1), 1e-12)
        return x0 + (x - x0) * atleast_kd(ep.minimum(1, epsilon / norms), x.ndim)


@register("fgsm", norms=("linf", "l2"))
def fgsm(norm: str) -> AttackWithDistance:
    """One step of size ε from the clean image (Goodfellow, Shlens & Szegedy 2015)."""
    return {"linf": foolbox.LinfFastGradientAttack, "l2": foolbox.L2FastGradientAttack}[norm]()


@register("deepfool", norms=("linf", "l2"), kind="minimal")
def deepfool(norm: str, *, steps: int = 50) -> AttackWithDistance:
    """Steps to the nearest linearised boundary among ten classes, 2 % beyond it (Moosavi-Dezfooli et al.
    2016): up to ``steps`` × 9 gradients."""
    attack = {"linf": foolbox.LinfDeepFoolAttack, "l2": foolbox.L2DeepFoolAttack}[norm]
    return attack(steps=steps, candidates=10, overshoot=0.02)


@register("carlini_wagner", norms=("l2",), kind="minimal")
def carlini_wagner(norm: str, *, steps: int = 200) -> AttackWithDistance:
    """Adam on distance + c·margin, with a binary search over c (Carlini & Wagner 2017): ``steps`` × 6
    gradients. Its early abort is off: it goes by the loss of the whole batch, so that an image's result would
    depend on the others."""
    return foolbox.L2CarliniWagnerAttack(
        binary_search_steps=6, steps=steps, stepsize=0.01, initial_const=0.1, abort_early=False
    )


@register("fmn", norms=("linf", "l2", "l1"), kind="minimal")
def fmn(norm: str, *, steps: int = 100) -> AttackWithDistance:
    """Fast minimum norm: gradient steps in a ball that shrinks and grows around the boundary (Pintor et al.
    2021): ``steps`` gradients."""
    attacks = {"linf": foolbox.LInfFMNAttack, "l2": L2FMN, "l1": foolbox.L1FMNAttack}
    return attacks[norm](steps=steps, max_stepsize=1.0, gamma=0.05)
