"""Auto-PGD (Croce & Hein, ICML 2020, algorithm 1): PGD with momentum whose step size sets itself."""

from __future__ import annotations

import torch
from torch import Tensor

from robustness.attacks import geometry, losses
from robustness.attacks.attacked_model import Answer
from robustness.attacks.iterative import IterativeAttack, State, spread
from robustness.attacks.registry import register

_MOMENTUM = 0.75
_RISING = 0.75


def checkpoints(steps: int) -> list[int]:
    """The steps at which the step size may be halved: windows of 22 % of the steps, each 3 % shorter than the
    one before, 6 % at least, in whole steps as the authors' code (AutoAttack) takes them.

    >>> checkpoints(100)
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    window, found = max(int(0.22 * steps), 1), []
    shorter, least = max(int(0.03 * steps), 1), max(int(0.06 * steps), 1)
    while (reached := sum(found[-1:]) + window) <= steps:
        found.append(reached)
        window = max(window - shorter, least)
    return found


class APGD(IterativeAttack):
    """Auto-PGD in L∞ or L2 with cross-entropy, DLR or targeted DLR.

    The step starts at 2ε and is halved at a checkpoint if the loss rose in at most three quarters of the
    steps since the last one (of the first of all, as the authors' code has it, if it is above 0), or if
    neither the step nor the best loss changed since then; the search then goes on from the best point.

    Args:
        norm: linf or l2.
        steps: number of updates.
        loss: ce, dlr or targeted_dlr.
        targets: for targeted_dlr: the number of target classes, most likely first (the paper uses 9), one
            restart each, for the images that are still robust.
    """

    def __init__(self, *, norm: str = "linf", steps: int = 100, loss: str = "ce", targets: int = 1) -> None:
        self.norm = geometry.check_norm(norm, ("linf", "l2"), who="apgd")
        self.steps = steps
        self.loss_name = loss
        self.targets = targets
        self.needs_logits = loss == "targeted_dlr"
        self.classes_needed = {"ce": 2, "dlr": 3, "targeted_dlr": 4}[loss]
        marks = checkpoints(steps)
        self._windows = torch.zeros(steps + 2, dtype=torch.long)  # at a checkpoint: steps since the last
        for last, mark in zip([0, *marks], marks, strict=False):
            self._windows[mark] = mark - last

    def start(
        self, x0: Tensor, y: Tensor, seeds: Tensor, epsilon: float, restart: Tensor, logits: Tensor | None
    ) -> State:
        noise = geometry.random_like(x0, self.norm, epsilon, seeds.tolist())
        reach = geometry.widen(epsilon / geometry.size(noise, self.norm).clamp_min(1e-12), noise)
        x = geometry.project(x0 + noise * reach, x0, epsilon, self.norm)
        unset = torch.full((len(x0),), -torch.inf, device=x0.device)
        state = {
            "x": x,
            "before": x.clone(),
            "best": x.clone(),
            "slope": torch.zeros_like(x),  # gradient at the best point
            "value": unset,  # loss at the point before
            "best_value": unset.clone(),
            "checked_value": unset.clone(),  # best loss at the last checkpoint
            "rises": torch.zeros_like(unset),
            "step": torch.full_like(unset, 2 * epsilon),
            "halved": torch.ones_like(unset, dtype=torch.bool),  # whether the last checkpoint halved the step
        } | self.edges(x0, epsilon)
        if self.needs_logits:
            ranked = logits.scatter(1, y[:, None], -torch.inf).argsort(dim=1, descending=True)
            classes = logits.shape[1]
            state["target"] = ranked.gather(1, (restart % (classes - 1))[:, None])[:, 0]
        return state

    def restarts(self, classes: int) -> int:
        """A target class is not tried twice."""
        return min(self.targets, classes - 1)

    def loss(self, logits: Tensor, y: Tensor, state: State) -> Tensor:
        if self.loss_name == "ce":
            return losses.cross_entropy(logits, y)
        if self.loss_name == "dlr":
            return losses.dlr(logits, y)
        return losses.targeted_dlr(logits, y, spread(state["target"], len(logits)))

    def update(self, state: State, x0: Tensor, answer: Answer, step: Tensor, epsilon: float) -> None:
        value, x, slope, before = answer.value, state["x"], answer.gradient, state["before"]
        better = value > state["best_value"]
        geometry.keep_rows(state["best"], x, better)
        geometry.keep_rows(state["slope"], slope, better)
        state["best_value"] = torch.where(better, value, state["best_value"])
        compared = torch.where(step > 1, state["value"], 0.0)
        state["rises"] = state["rises"] + ((value > compared) & (step > 0))
        state["value"] = value

        window = self._windows.to(step.device)[step]
        if (window > 0).any():
            x, slope = self._halve(state, x, slope, window)
        direction = geometry.steepest_(slope, self.norm)
        ahead = torch.addcmul(x, direction, geometry.widen(state["step"], x))
        ahead = self.confine_(state, x0, epsilon, ahead)
        # x + α(ahead − x) + (1 − α)(x − before), in place; the first step has no momentum
        blend = geometry.widen(torch.where(step > 0, _MOMENTUM, 1.0).to(x), x)
        ahead.mul_(blend).addcmul_(x, 2 - 2 * blend).addcmul_(before, blend - 1)
        state["before"] = x
        state["x"] = self.confine_(state, x0, epsilon, ahead)

    def _halve(self, state: State, x: Tensor, slope: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
        """Halve the step of the images that stall at a checkpoint; they go on from their best point."""
        check = window > 0
        oscillates = state["rises"] <= _RISING * window
        stalls = ~state["halved"] & (state["best_value"] <= state["checked_value"])
        halve = check & (oscillates | stalls)
        state["step"] = torch.where(halve, state["step"] / 2, state["step"])
        state["halved"] = torch.where(check, halve, state["halved"])
        state["checked_value"] = torch.where(check, state["best_value"], state["checked_value"])
        state["rises"] = torch.where(check, torch.zeros_like(state["rises"]), state["rises"])
        flags = geometry.widen(halve, x)
        return torch.where(flags, state["best"], x), torch.where(flags, state["slope"], slope)


@register("apgd_ce", norms=("linf", "l2"))
def apgd_ce(norm: str, *, steps: int = 100) -> APGD:
    """Auto-PGD on the cross-entropy (Croce & Hein 2020): ``steps`` gradients."""
    return APGD(norm=norm, steps=steps, loss="ce")


@register("apgd_dlr", norms=("linf", "l2"))
def apgd_dlr(norm: str, *, steps: int = 100) -> APGD:
    """Auto-PGD on the difference of logits ratio (Croce & Hein 2020): ``steps`` gradients."""
    return APGD(norm=norm, steps=steps, loss="dlr")


@register("apgd_targeted", norms=("linf", "l2"))
def apgd_targeted(norm: str, *, steps: int = 100, targets: int = 9) -> APGD:
    """Auto-PGD on the targeted DLR (Croce & Hein 2020), a restart for each of the likeliest wrong classes:
    ``targets`` × ``steps`` gradients."""
    return APGD(norm=norm, steps=steps, loss="targeted_dlr", targets=targets)
