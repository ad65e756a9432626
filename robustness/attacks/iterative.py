"""What an iterative attack is: a foolbox attack whose steps the engine can run for any set of images.

To add one: subclass :class:`IterativeAttack`, write ``start``, ``loss`` and ``update``, and register a
builder below it. The state is a dict of tensors with one row per image, so that
the engine can take finished images out and put waiting ones in at any step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import foolbox
from foolbox.attacks.base import FixedEpsilonAttack, get_criterion, raise_if_kwargs, verify_input_bounds
from torch import Tensor

from robustness.attacks import geometry
from robustness.attacks.attacked_model import Answer, AttackedModel

State = dict[str, Tensor]


class IterativeAttack(FixedEpsilonAttack, ABC):
    """Searches a ball of fixed size ε in ``steps`` updates.

    ``norm`` is linf, l2 or l1. ``uses_gradient``: whether a step needs the input gradient. ``needs_logits``:
    whether ``start`` needs the clean logits. ``classes_needed``: the classes that the loss needs at least.
    """

    norm: str
    steps: int
    uses_gradient: bool = True
    needs_logits: bool = False
    classes_needed: int = 2

    @property
    def distance(self) -> foolbox.distances.Distance:
        return {"linf": foolbox.distances.linf, "l2": foolbox.distances.l2, "l1": foolbox.distances.l1}[
            self.norm
        ]

    @abstractmethod
    def start(
        self, x0: Tensor, y: Tensor, seeds: Tensor, epsilon: float, restart: Tensor, logits: Tensor | None
    ) -> State:
        """The state of n images before the first step; ``state["x"]`` (n, C, H, W) is the first point to
        query.

        x0: clean images in [0, 1]; y: (n,) labels; seeds: (n,) int64 on the CPU, one per (image, restart);
        restart: (n,) int64; logits: (n, classes) of the clean images if ``needs_logits``. No two tensors of
        the state may share memory: the engine writes the rows of new images in place.
        """

    def edges(self, x0: Tensor, epsilon: float) -> State:
        """For L∞ the part of the state that :meth:`confine_` needs; for other norms nothing."""
        if self.norm != "linf":
            return {}
        low, high = geometry.box(x0, epsilon)
        return {"low": low, "high": high}

    def confine_(self, state: State, x0: Tensor, epsilon: float, x: Tensor | None = None) -> Tensor:
        """``x`` (``state["x"]`` unless given) moved into the ball and into [0, 1], in place."""
        edges = (state["low"], state["high"]) if self.norm == "linf" else None
        return geometry.confine_(state["x"] if x is None else x, x0, epsilon, self.norm, edges)

    @abstractmethod
    def loss(self, logits: Tensor, y: Tensor, state: State) -> Tensor:
        """(m,) the loss to raise, of logits (m, classes) and y (m,), m a multiple of the rows of
        ``state``."""

    @abstractmethod
    def update(self, state: State, x0: Tensor, answer: Answer, step: Tensor, epsilon: float) -> None:
        """Move ``state["x"]`` on, given the model's answer to it; step: (n,) the updates that each image had.

        May work in place, on ``answer.gradient`` too; ``x0`` must stay.
        """

    def restarts(self, classes: int) -> int:
        """How often an image that is still robust is attacked, for a model with that many classes."""
        return 1

    def run(self, model: foolbox.Model, inputs: Any, criterion: Any, *, epsilon: float, **kwargs: Any) -> Any:
        """foolbox's entry: attack a batch; returns the best point found for each image, within ε. Random
        starts have the seed 0. Raises ValueError for a criterion other than Misclassification."""
        from eagerpy import astensor_

        from robustness.attacks.engine import search

        raise_if_kwargs(kwargs)
        x, restore = astensor_(inputs)
        verify_input_bounds(x, model)
        criterion = get_criterion(criterion)
        if not isinstance(criterion, foolbox.Misclassification):
            raise ValueError(f"{type(self).__name__} supports Misclassification only")
        attacked = AttackedModel(model, device=x.raw.device)
        found = search(self, attacked, x.raw, criterion.labels.raw, range(len(x)), epsilon, batch_size=len(x))
        return restore(type(x)(found.images.to(x.raw.device)))


def spread(values: Tensor, rows: int) -> Tensor:
    """(n, …) repeated for the logits of ``rows`` = eot_samples·n rows, sample after sample of the noise."""
    return values if len(values) == rows else values.repeat(rows // len(values), *(1,) * (values.ndim - 1))
