"""Projected gradient descent (Madry et al. 2018) in L∞, L2 and L1."""

from __future__ import annotations

from torch import Tensor

from robustness.attacks import geometry, losses
from robustness.attacks.attacked_model import Answer
from robustness.attacks.iterative import IterativeAttack, State
from robustness.attacks.registry import register


class PGD(IterativeAttack):
    """Steps of fixed size along the steepest direction of the cross-entropy, each followed by a projection.

    Args:
        norm: linf, l2 or l1.
        steps: number of updates.
        rel_stepsize: step size relative to ε. None stands for 2.5/steps, at least 1/30 (as foolbox's 40
        steps).
        random_start: whether the first point is drawn from the ball, or is the clean image.
    """

    def __init__(
        self,
        *,
        norm: str = "linf",
        steps: int = 50,
        rel_stepsize: float | None = None,
        random_start: bool = True,
    ) -> None:
        self.norm = geometry.check_norm(norm, who="pgd")
        self.steps = steps
        self.rel_stepsize = max(2.5 / steps, 1 / 30) if rel_stepsize is None else rel_stepsize
        self.random_start = random_start

    def start(
        self, x0: Tensor, y: Tensor, seeds: Tensor, epsilon: float, restart: Tensor, logits: Tensor | None
    ) -> State:
        x = x0.clone()
        if self.random_start:
            noise = geometry.random_like(x0, self.norm, epsilon, seeds.tolist())
            x = geometry.project(x0 + noise, x0, epsilon, self.norm)
        return {"x": x} | self.edges(x0, epsilon)

    def loss(self, logits: Tensor, y: Tensor, state: State) -> Tensor:
        return losses.cross_entropy(logits, y)

    def update(self, state: State, x0: Tensor, answer: Answer, step: Tensor, epsilon: float) -> None:
        direction = geometry.steepest_(answer.gradient, self.norm, state["x"])
        state["x"].add_(direction, alpha=self.rel_stepsize * epsilon)
        state["x"] = self.confine_(state, x0, epsilon)


@register("pgd", norms=("linf", "l2", "l1"))
def pgd(norm: str, *, steps: int = 50, rel_stepsize: float | None = None, random_start: bool = True) -> PGD:
    """Projected gradient descent on the cross-entropy (Madry et al. 2018): ``steps`` gradients, by steps of
    ``rel_stepsize``·ε, from a random point of the ball or, without ``random_start``, from the image."""
    return PGD(norm=norm, steps=steps, rel_stepsize=rel_stepsize, random_start=random_start)
