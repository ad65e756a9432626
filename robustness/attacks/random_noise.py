"""Random noise of size ε: the baseline that every attack must beat."""

from __future__ import annotations

from torch import Tensor

from robustness.attacks import geometry, losses
from robustness.attacks.attacked_model import Answer, advance
from robustness.attacks.iterative import IterativeAttack, State
from robustness.attacks.registry import register


class RandomNoise(IterativeAttack):
    """Tries ``steps`` + 1 random points on the surface of the ball, no gradient.

    L∞: each value ±ε at random; L2 and L1: a random direction of size ε.

    Args:
        norm: linf, l2 or l1.
        steps: random points after the first.
    """

    uses_gradient = False

    def __init__(self, *, norm: str = "linf", steps: int = 10) -> None:
        self.norm = geometry.check_norm(norm, who="random_noise")
        self.steps = steps

    def start(
        self, x0: Tensor, y: Tensor, seeds: Tensor, epsilon: float, restart: Tensor, logits: Tensor | None
    ) -> State:
        return {"x": self._points(x0, seeds, epsilon), "seeds": seeds.to(x0.device)}

    def loss(self, logits: Tensor, y: Tensor, state: State) -> Tensor:
        return losses.margin(logits, y)

    def update(self, state: State, x0: Tensor, answer: Answer, step: Tensor, epsilon: float) -> None:
        state["x"] = self._points(x0, advance(state["seeds"], step + 1).cpu(), epsilon)

    def _points(self, x0: Tensor, seeds: Tensor, epsilon: float) -> Tensor:
        noise = geometry.random_like(x0, self.norm, 1.0, seeds.tolist())
        if self.norm == "linf":
            return (x0 + epsilon * noise.sign()).clamp_(0, 1)
        reach = geometry.size(noise, self.norm).clamp_min(1e-12)
        return (x0 + noise * geometry.widen(epsilon / reach, noise)).clamp_(0, 1)


@register("random_noise", norms=("linf", "l2", "l1"))
def random_noise(norm: str, *, steps: int = 10) -> RandomNoise:
    """Random points of size ε: what every attack must beat; ``steps`` queries."""
    return RandomNoise(norm=norm, steps=steps)
