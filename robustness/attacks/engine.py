"""Runs one iterative attack at one ε over many images: a batch of slots that is kept full.

An image leaves its slot as soon as it is misclassified or has had its steps; a waiting one takes the slot, or
where none waits a further restart of one that is at work. So the work is (steps that images need) × (forward
+ backward), and each image's result is the same in any batch: its random numbers come from its own seeds, and
of its restarts the first that breaks it counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from robustness.attacks.attacked_model import AttackedModel, advance
from robustness.attacks.geometry import keep_rows, widen
from robustness.attacks.losses import require_classes

if TYPE_CHECKING:
    from robustness.attacks.iterative import IterativeAttack, State

_SURE = 0.1  # under noise an image leaves early only if at most this share of answers is right


@dataclass
class Found:
    """What a search found, one row per image, all on the CPU.

    images: (N, C, H, W) float32, the point that is misclassified, else the one of the largest loss.
    broken: (N,) bool, the search's own verdict. steps: (N,) int, updates made, restarts included.
    losses: (N, steps + 1) float32, the loss at each step of the first restart (NaN after an image left);
    wrong: likewise the share of EOT samples with a wrong answer; wrongest: like images, the first point of
    the first restart with the largest such share. These three only with ``trace``.
    """

    images: Tensor
    broken: np.ndarray
    steps: np.ndarray
    losses: np.ndarray | None = None
    wrong: np.ndarray | None = None
    wrongest: Tensor | None = None


def search(
    attack: IterativeAttack,
    model: AttackedModel,
    images: Tensor,
    labels: Tensor,
    ids: Sequence[int] | np.ndarray,
    epsilon: float,
    *,
    batch_size: int = 128,
    stop_early: bool = True,
    trace: bool = False,
    stream: str = "",
    report: Callable[[int], None] | None = None,
    allowed: Tensor | None = None,
) -> Found:
    """Attack every image within ``epsilon`` (image units).

    images: (N, C, H, W) float32 in [0, 1] on any device; labels: (N,) int64; ids: (N,) what the images'
    random numbers belong to. With ``stop_early`` off every image has all its steps (to measure the loop,
    or the loss over steps). ``stream`` names another set of random numbers. ``report`` gets the number of
    images that are done. allowed: (N, 1, H, W) bool, the pixels that may be changed (None: all). Raises
    UserError if the model has too few classes for the loss.
    """
    return _Search(
        attack, model, images, labels, ids, epsilon, batch_size, stop_early, trace, stream, report, allowed
    ).run()


class _Search:
    def __init__(
        self,
        attack: IterativeAttack,
        model: AttackedModel,
        images: Tensor,
        labels: Tensor,
        ids: Sequence[int] | np.ndarray,
        epsilon: float,
        batch_size: int,
        stop_early: bool,
        trace: bool,
        stream: str,
        report: Callable[[int], None] | None,
        allowed: Tensor | None,
    ) -> None:
        self.allowed = allowed
        self.attack, self.model, self.epsilon, self.stop_early = attack, model, epsilon, stop_early
        self.report = report
        self.images, self.labels = images, labels
        count = len(images)
        self.keys = model.keys(ids, "search", type(attack).__name__, attack.norm, epsilon, stream)
        self.best = images.detach().cpu().clone()
        self.best_value = torch.full((count,), -torch.inf)
        self.broken = np.zeros(count, dtype=bool)
        self.steps = np.zeros(count, dtype=int)
        shape = (count, attack.steps + 1)
        self.losses = np.full(shape, np.nan, dtype=np.float32) if trace else None
        self.wrong = np.full(shape, np.nan, dtype=np.float32) if trace else None
        self.wrongest = self.best.clone() if trace else None
        self.waiting = deque((row, 0) for row in range(count))
        self.begun = np.ones(count, dtype=int)  # restarts that were seated or wait
        self.breaker = np.full(count, np.iinfo(int).max)  # the first restart that broke the image, so far
        self.width = max(1, batch_size // model.eot_samples)  # slots; a slot costs one row per EOT sample
        self.restarts: int | None = None

    def run(self) -> Found:
        if not self.waiting:
            return self._found()
        self.slots, self.state = self._fresh(min(self.width, len(self.waiting)))
        self._refill()
        while len(self.slots["row"]):
            self._step()
        return self._found()

    def _found(self) -> Found:
        return Found(self.best, self.broken, self.steps, self.losses, self.wrong, self.wrongest)

    def _fresh(self, count: int) -> tuple[dict[str, Tensor], State]:
        """Slots for the next ``count`` waiting images: what every attack has, and the attack's own state."""
        rows, restarts = zip(*(self.waiting.popleft() for _ in range(count)), strict=True)
        device, row, restart = self.model.device, torch.tensor(rows), torch.tensor(restarts)
        x0 = self.model.place(self.images[row.to(self.images.device)])
        y = self.labels[row.to(self.labels.device)].to(device)
        keys = advance(self.keys[row], restart)
        logits = None
        if self.attack.needs_logits or self.model.classes is None:
            logits = self.model.logits(x0, keys, draws=self.model.eot_samples).mean(0).to(device)
        if self.restarts is None:
            require_classes(self.model.classes, self.attack.classes_needed, type(self.attack).__name__)
            self.restarts = self.attack.restarts(self.model.classes)
        state = self.attack.start(x0, y, keys, self.epsilon, restart.to(device), logits)
        value = torch.full((count,), -torch.inf, device=device)
        slots = {"row": row.to(device), "restart": restart.to(device), "x0": x0, "y": y, "value": value,
                 "best": state["x"].clone(), "keys": keys.to(device), "step": torch.zeros_like(y),
                 "busy": torch.ones_like(y, dtype=torch.bool)}  # fmt: skip
        if self.allowed is not None:
            slots["allowed"] = self.allowed[row].to(device)
        return slots, state

    def _step(self) -> None:
        slots, state, attack, model = self.slots, self.state, self.attack, self.model
        if self.allowed is not None:
            state["x"] = torch.where(slots["allowed"], state["x"], slots["x0"])
        x, y, step = state["x"], slots["y"], slots["step"]
        last = step == attack.steps
        answer = model.query(
            x,
            lambda logits: attack.loss(logits, y.repeat(len(logits) // len(y)), state),
            y,
            advance(slots["keys"], step + 1) if model.stochastic else slots["keys"],
            gradient=attack.uses_gradient and not bool(last.all()),
        )
        self._record(x, answer.value, answer.right)
        better = answer.value > slots["value"]
        slots["value"] = torch.where(better, answer.value, slots["value"])
        keep_rows(slots["best"], x, better)
        broken = self._broken(x, y, answer.right)
        done = ((broken | last) if self.stop_early else last) & slots["busy"]
        leaving = bool(done.any())
        if leaving:
            self._leave(done, broken, x, step)
        if self.allowed is not None and answer.gradient is not None:
            answer.gradient.mul_(slots["allowed"])
        if self.waiting or bool(slots["busy"].any()):
            if answer.gradient is not None or not attack.uses_gradient:
                attack.update(state, slots["x0"], answer, step, self.epsilon)
            slots["step"] = (step + 1).clamp_max(attack.steps)
        if leaving:
            self._refill()

    def _broken(self, x: Tensor, y: Tensor, right: Tensor) -> Tensor:
        """(n,) whether the images may leave; under noise the model is queried again."""
        if not self.model.stochastic:
            return right == 0
        broken = (right <= 0.5) & self.slots["busy"]
        if broken.any():
            keys = advance(self.slots["keys"], -1 - self.slots["step"])[broken].cpu()
            again = self.model.right_share(x[broken], y[broken], keys, draws=self.model.eot_samples)
            broken = broken.masked_scatter(broken, (again <= _SURE).to(broken.device))
        return broken

    def _record(self, x: Tensor, value: Tensor, right: Tensor) -> None:
        if self.losses is None:
            return
        first = ((self.slots["restart"] == 0) & self.slots["busy"]).cpu().numpy()
        row, step = self.slots["row"].cpu().numpy()[first], self.slots["step"].cpu().numpy()[first]
        self.losses[row, step] = value.cpu().numpy()[first]
        wrong = 1 - right.cpu().numpy()[first]
        so_far = np.nan_to_num(self.wrong[row], nan=-1.0).max(1)
        self.wrong[row, step] = wrong
        more = wrong > so_far
        self.wrongest[torch.from_numpy(row[more])] = x.detach().cpu()[torch.from_numpy(first)][
            torch.from_numpy(more)
        ]

    def _leave(self, done: Tensor, broken: Tensor, x: Tensor, step: Tensor) -> None:
        """Write down the finished restarts. Of an image the first restart that breaks it counts, whichever
        ends first; later ones are given up."""
        slots = self.slots
        slots["busy"] = slots["busy"] & ~done
        rows, restarts = slots["row"][done].cpu().numpy(), slots["restart"][done].cpu().numpy()
        value, wrong = slots["value"][done].cpu(), broken[done].cpu()
        points = torch.where(widen(broken[done], x), x[done], slots["best"][done]).cpu()
        made = step[done].cpu().numpy()
        for place in np.argsort(restarts, kind="stable"):
            row, restart, down = rows[place], restarts[place], bool(wrong[place])
            if restart > self.breaker[row] and self.stop_early:
                continue
            self.steps[row] += made[place]
            if down and restart < self.breaker[row]:
                self.best[row], self.breaker[row], self.broken[row] = points[place], restart, True
            elif not self.broken[row] and value[place] > self.best_value[row]:
                self.best[row], self.best_value[row] = points[place], value[place]
        if self.stop_early:
            row, restart = slots["row"].cpu().numpy(), slots["restart"].cpu().numpy()
            given_up = torch.from_numpy(restart > self.breaker[row]).to(slots["busy"].device)
            slots["busy"] = slots["busy"] & ~given_up
            self.waiting = deque((r, number) for r, number in self.waiting if number < self.breaker[r])
        if self.report is not None:
            seated = slots["row"][slots["busy"]].tolist()
            self.report(len(self.images) - len({*seated, *(row for row, _ in self.waiting)}))

    def _begin_restarts(self, count: int) -> None:
        """Let up to ``count`` further restarts of images that are not broken wait, the least begun first."""
        unfinished = np.flatnonzero((self.begun < self.restarts) & ~(self.broken & self.stop_early))
        for row in unfinished[np.argsort(self.begun[unfinished], kind="stable")][:count]:
            self.waiting.append((int(row), int(self.begun[row])))
            self.begun[row] += 1

    def _refill(self) -> None:
        """Put waiting images, then further restarts, in the free slots and in new ones; close free slots once
        they are a tenth of all."""
        free = (~self.slots["busy"]).nonzero()[:, 0]
        room = self.width - len(self.slots["busy"]) + len(free)
        while len(self.waiting) < room:
            before = len(self.waiting)
            self._begin_restarts(room - before)
            if len(self.waiting) == before:
                break
        seated = min(len(free), len(self.waiting))
        if seated:
            slots, state = self._fresh(seated)
            for new, held in ((slots, self.slots), (state, self.state)):
                for name, values in new.items():
                    held[name][free[:seated]] = values
        more = min(self.width - len(self.slots["busy"]), len(self.waiting))
        if more > 0:
            slots, state = self._fresh(more)
            for new, held in ((slots, self.slots), (state, self.state)):
                for name, values in new.items():
                    held[name] = torch.cat([held[name], values])
        idle = len(free) - seated
        if idle * 10 >= len(self.slots["busy"]):
            keep = self.slots["busy"].nonzero()[:, 0]
            self.slots = {name: values[keep] for name, values in self.slots.items()}
            self.state = {name: values[keep] for name, values in self.state.items()}
