"""HopSkipJump (Chen, Jordan & Wainwright 2020): foolbox's for one image, its queries in one batch."""

from __future__ import annotations

from typing import Any

import torch
from eagerpy import Tensor as AnyTensor
from eagerpy import astensor, astensor_
from foolbox import Model
from foolbox.attacks import HopSkipJumpAttack, LinearSearchBlendedUniformNoiseAttack
from foolbox.attacks.base import get_criterion
from foolbox.criteria import Criterion

from robustness.attacks.registry import register


class Wrong(Criterion):
    """Adversarial is every output that is not ``label``, for any number of images (foolbox's wants one
    each)."""

    def __init__(self, label: int) -> None:
        self.label = label

    def __repr__(self) -> str:
        return f"Wrong({self.label})"

    def __call__(self, perturbed: Any, outputs: Any) -> Any:
        logits, restore = astensor_(outputs)
        return restore(logits.argmax(axis=-1) != self.label)


class HopSkipJump(HopSkipJumpAttack):
    """foolbox's HopSkipJump for single images.

    foolbox asks the model for one perturbed copy of the batch after another, and scales the estimated
    direction by a length taken over the whole batch. With one image the length is right and all copies fit
    in a batch.

    Args:
        norm: linf or l2, the distance to make small.
        steps: moves along the boundary.
        queries: copies for the first estimate of the direction; grows with the root of the step.
    """

    def __init__(self, *, norm: str = "l2", steps: int = 20, queries: int = 100) -> None:
        super().__init__(
            init_attack=LinearSearchBlendedUniformNoiseAttack(directions=50, steps=50),
            steps=steps,
            initial_gradient_eval_steps=queries,
            constraint=norm,
        )

    def run(self, model: Model, inputs: Any, criterion: Any, **kwargs: Any) -> Any:
        """The adversarial image; ``inputs`` themselves if blending with noise finds no image to start
        from."""
        x, restore = astensor_(inputs)
        if len(x) != 1:
            raise ValueError(f"HopSkipJump attacks one image at a time, not {len(x)}")
        wrong = Wrong(int(get_criterion(criterion).labels.raw[0]))
        start = self.init_attack.run(model, x, wrong)
        if not wrong(start, model(start)).all():
            return inputs
        return restore(super().run(model, x, wrong, starting_points=start, **kwargs))

    def approximate_gradients(
        self, is_adversarial: Any, x_advs: AnyTensor, steps: int, delta: AnyTensor
    ) -> AnyTensor:
        """The direction across the boundary at ``x_advs`` (1, C, H, W), by Monte Carlo (the paper's eq.
        16)."""
        x, reach = x_advs.raw, float(delta.raw) + 1e-8
        noise = torch.empty((steps, *x.shape[1:]), device=x.device)
        noise = noise.normal_() if self.constraint == "l2" else noise.uniform_(-1, 1)
        noise /= noise.flatten(1).norm(dim=1).view(-1, 1, 1, 1) + 1e-12
        copies = (x + reach * noise).clamp(0, 1)
        noise = (copies - x) / reach
        votes = is_adversarial(astensor(copies)).raw.to(x) * 2 - 1
        if votes.mean().abs() < 1:
            votes = votes - votes.mean()
        direction = (votes.view(-1, 1, 1, 1) * noise).mean(0, keepdim=True)
        return astensor(direction / (direction.norm() + 1e-12))


@register("hopskipjump", norms=("linf", "l2"), kind="minimal", alone=True)
def hopskipjump(norm: str, *, steps: int = 20) -> HopSkipJump:
    """Walks along the decision boundary, by queries of the class alone (Chen, Jordan & Wainwright 2020):
    about 100 · √steps · steps queries."""
    return HopSkipJump(norm=norm, steps=steps)
