"""The table ``attacks``: every attack of a suite at every ε, per sample, and the worst case over them."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from robustness.attacks import geometry
from robustness.attacks.record import Record
from robustness.attacks.registry import Planned, Suite, plan
from robustness.attacks.stores import fingerprint, unit_key
from robustness.attacks.validation import check_epsilons, check_images, check_logits
from robustness.attacks.victim import Victim
from robustness.errors import UserError, nearest
from robustness.statistics.proportions import wilson

SWEEPS = ("down", "up", "each")
Progress = Callable[[str, int, int], None]  # what is attacked, samples done, samples of this attack and ε
Store = MutableMapping[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Setup:
    """How an evaluation runs; what it finds depends on all but ``batch_size``.

    norm: linf, l2 or l1.
    draws, score_draws: for models with live noise: draws that a gradient is averaged over, and fresh draws
        that decide whether a sample is broken.
    noise: live, frozen (one noise field, from ``seed``) or off; without meaning for a model without noise.
    sweep: ``down``: from the largest ε on; a sample that an attack could not break is not given to the same
        attack at a smaller ε. ``up``: from the smallest ε on. In both, a perturbation counts at every ε
        that is not smaller than it. ``each``: every ε from scratch and alone, nothing inferred (several
        times slower).
    cascade: whether a sample that one attack broke is spared the later attacks of the suite at that ε.
    """

    norm: str = "linf"
    draws: int = 10
    score_draws: int = 20
    noise: str = "live"
    sweep: str = "down"
    cascade: bool = True
    batch_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        geometry.check_norm(self.norm, who="attack")
        if self.sweep not in SWEEPS:
            raise UserError(f"sweep {self.sweep!r} is unknown; {nearest(str(self.sweep), SWEEPS)}")
        if self.batch_size < 1:
            raise UserError(f"batch_size is {self.batch_size}; use 1 or more")


@dataclass
class Outcome:
    """What an evaluation found.

    table: as :func:`evaluate`. adversarials: for each ε the strongest image found for each of the first
    ``keep`` samples, (keep, C, H, W) float32, within ε: one that breaks it if there is any, else one that
    raises the loss, else the clean image. forwards, backwards: images that went through the model, noise
    draws not counted.
    """

    table: pd.DataFrame
    adversarials: dict[float, Tensor] = field(default_factory=dict)
    forwards: int = 0
    backwards: int = 0


def evaluate(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    suite: Suite,
    epsilons: Sequence[float],
    *,
    samples: Sequence[int] | None = None,
    objects: Sequence[str] | None = None,
    name: str = "model",
    device: torch.device | str = "cpu",
    store: Store | None = None,
    progress: Progress | None = None,
    **setup: Any,
) -> pd.DataFrame:
    """Attack ``model``; one row for each (attack, ε, sample), with the rows of the attack ``worst`` last.

    images: (N, C, H, W) float32 in [0, 1]; labels: (N,) int; epsilons: in image units (8/255), ε = 0 allowed;
    suite: see :func:`robustness.attacks.registry.plan`; setup: fields of :class:`Setup` (norm, draws …);
    samples: (N,) ids that random numbers belong to; store: keeps what is finished, an (attack, ε) at a time.

    Columns: model, attack, norm, epsilon, sample, object, label, clean_correct, robust, distance, draws, and
    ``attacked`` (did this attack run on this sample at this ε), ``by`` (the attack that broke it, "clean"
    if it was wrong before, "" if it stands), ``right``, ``low``, ``high`` (share of the scoring draws with
    the right answer, for the strongest image, and its 95 % Wilson interval; without noise 0 or 1),
    ``noise``.

    - ``robust``: clean_correct, and stands after this attack and all before it in the suite (this attack
      alone if ``cascade`` is off; the first attack of a suite is always alone). With noise: more than half
      of the scoring draws are right.
    - ``distance``: size of the smallest perturbation known so far that breaks it, in image units; 0 if wrong
      before, NaN if it stands.
    - An attack that looks for the smallest perturbation has one row a sample, with ε = inf; it counts in
      ``worst`` at every ε.

    Raises UserError for images outside [0, 1], labels out of range, a model that gives probabilities or
    NaN, an unknown attack, setting or norm, ε < 0.
    """
    options = {"samples": samples, "objects": objects, "name": name, "device": device}
    options |= {"store": store, "progress": progress}
    return attack(model, images, labels, suite, epsilons, Setup(**setup), **options, keep=0).table


def attack(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    suite: Suite,
    epsilons: Sequence[float],
    setup: Setup | None = None,
    *,
    samples: Sequence[int] | None = None,
    objects: Sequence[str] | None = None,
    name: str = "model",
    device: torch.device | str = "cpu",
    store: Store | None = None,
    progress: Progress | None = None,
    keep: int = 64,
) -> Outcome:
    """As :func:`evaluate`, with the adversarial images of the first ``keep`` samples."""
    setup = setup or Setup()
    check_images(images, labels)
    images, labels = images.detach().float(), labels.long()
    budgets = check_epsilons(epsilons)
    planned = plan(suite, setup.norm)
    ids = np.arange(len(images)) if samples is None else np.asarray(samples)
    groups = ids.astype(str) if objects is None else np.asarray(objects)
    for what, column in (("samples", ids), ("objects", groups)):
        if column.shape != (len(images),):
            raise UserError(f"{what}: need one for each of the {len(images)} images, found {column.shape}")
    victim = Victim(
        model,
        device=device,
        draws=setup.draws,
        score_draws=setup.score_draws,
        noise=setup.noise,
        seed=setup.seed,
    )
    with victim:
        run = _Run(victim, images, labels, ids, budgets, setup, store, progress, min(keep, len(images)))
        frames = [run.frame(item, run.attack(item)) for item in planned]
    frames.append(run.worst(planned))
    table = pd.concat(frames, ignore_index=True)
    table.insert(0, "model", name)
    table.insert(5, "object", groups[table.pop("row")])
    noise = "none" if not victim.has_noise else setup.noise
    table.insert(10, "draws", victim.score_draws)
    table["noise"] = noise
    return Outcome(table, run.total.images_by_epsilon(), victim.forwards, victim.backwards)


class _Run:
    """One evaluation on its way: the victim, the samples, and the record of what fell."""

    def __init__(
        self,
        victim: Victim,
        images: Tensor,
        labels: Tensor,
        ids: np.ndarray,
        budgets: tuple[float, ...],
        setup: Setup,
        store: Store | None,
        progress: Progress | None,
        keep: int,
    ) -> None:
        self.victim, self.images, self.labels, self.ids = victim, images, labels, ids
        self.budgets, self.setup, self.store, self.progress, self.keep = budgets, setup, store, progress, keep
        self.score_keys = victim.keys(ids, "score")
        logits = victim.logits(images, self.score_keys)
        check_logits(logits, labels.cpu())
        share = (logits.argmax(-1) == labels.cpu()).float().mean(0).numpy()
        self.total = self._blank(share)
        settings = {key: value for key, value in asdict(setup).items() if key != "batch_size"}
        self.identity = fingerprint(victim.model, images, labels, ids, settings) if store is not None else ""

    def _blank(self, share: np.ndarray) -> Record:
        kept = self.images[: self.keep].cpu()
        return Record(share, self.budgets, kept, inherit=self.setup.sweep != "each")

    def attack(self, item: Planned) -> Record:
        """Run one attack over the ε's; returns the record that its rows tell: all attacks so far, or it
        alone."""
        own = self._blank(self.total.clean_share) if not self.setup.cascade else self.total
        built = item.build()
        if item.entry.kind == "minimal":
            self._unit(item, built, None, np.flatnonzero(self.total.clean_correct), own)
            return own
        held = np.zeros(len(self.ids), dtype=bool)
        order = self.budgets[::-1] if self.setup.sweep == "down" else self.budgets
        for epsilon in order:
            if epsilon == 0:  # the ball is the clean image
                continue
            rows = np.flatnonzero(own.standing(epsilon) & ~held)
            fell = self._unit(item, built, epsilon, rows, own)
            if self.setup.sweep == "down":
                held[rows[~fell]] = True
        return own

    def _unit(
        self, item: Planned, built: Any, epsilon: float | None, rows: np.ndarray, own: Record
    ) -> np.ndarray:
        """One attack at one ε (None: the smallest perturbation), from the store if it is there; who fell."""
        key = unit_key(item, epsilon, self.identity)
        found = self.store.get(key) if self.store is not None else None
        if found is None or not np.array_equal(found["rows"], rows):
            found = self._search(item, built, epsilon, rows)
            if self.store is not None:
                self.store[key] = found
        for record in {id(own): own, id(self.total): self.total}.values():
            record.add(item.label, epsilon, rows, found["share"], found["distance"], found["images"])
        return found["share"] <= 0.5

    def _search(
        self, item: Planned, built: Any, epsilon: float | None, rows: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Share of right scoring draws and size of perturbation for ``rows``, and the images of the kept
        ones."""
        from robustness.attacks.adopted import run_adopted
        from robustness.attacks.engine import search
        from robustness.attacks.iterative import IterativeAttack

        clean, y, ids = self.images[rows], self.labels[rows], self.ids[rows]
        text = f"{item.label} {item.norm}" + ("" if epsilon is None else f" ε {epsilon:.4g}")
        report = (lambda done: self.progress(text, done, len(rows))) if self.progress else None
        if report:
            report(0)
        if len(rows) == 0:
            points = clean.cpu()
        elif isinstance(built, IterativeAttack):
            size = self.setup.batch_size
            points = search(
                built, self.victim, clean, y, ids, epsilon, batch_size=size, stream=item.label, report=report
            ).images
        else:
            points = run_adopted(
                built,
                self.victim,
                clean,
                y,
                ids,
                epsilon,
                batch_size=self.setup.batch_size,
                alone=item.entry.alone,
            )
        origin = clean.cpu()
        if epsilon is not None:
            points = geometry.project(points, origin, epsilon, item.norm)
        share = np.ones(0, dtype=np.float32)
        if len(rows):
            share = self.victim.right_share(points, y, self.score_keys[rows]).numpy()
        distance = geometry.size(points - origin, item.norm).numpy()
        if report:
            report(len(rows))
        kept = points[rows < self.keep].numpy()
        return {"rows": rows, "share": share, "distance": distance, "images": kept}

    def frame(self, item: Planned, record: Record) -> pd.DataFrame:
        """The rows of one attack, after it has run."""
        budgets = [None] if item.entry.kind == "minimal" else self.budgets
        parts = [record.rows(epsilon, item.label) for epsilon in budgets]
        return self._columns(item.label, parts, [float("inf") if e is None else e for e in budgets])

    def worst(self, planned: Sequence[Planned]) -> pd.DataFrame:
        """The rows of the worst case over the suite."""
        return self._columns(
            "worst", [self.total.rows(epsilon, None) for epsilon in self.budgets], self.budgets
        )

    def _columns(self, label: str, parts: list[pd.DataFrame], budgets: Sequence[float]) -> pd.DataFrame:
        draws = self.victim.score_draws
        frames = []
        for epsilon, part in zip(budgets, parts, strict=True):
            part.insert(0, "attack", label)
            part.insert(1, "norm", self.setup.norm)
            part.insert(2, "epsilon", float(epsilon))
            part.insert(3, "sample", self.ids)
            part.insert(4, "label", self.labels.cpu().numpy())
            low, high = (
                _wilson(part["right"].to_numpy(), draws) if self.victim.stochastic else (part["right"],) * 2
            )
            at = part.columns.get_loc("right") + 1
            part.insert(at, "low", low)
            part.insert(at + 1, "high", high)
            frames.append(part)
        return pd.concat(frames, ignore_index=True)


def _wilson(share: np.ndarray, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """95 % Wilson interval of shares of ``draws``."""
    intervals = [wilson(successes, draws) for successes in range(draws + 1)]
    successes = np.round(share * draws).astype(int)
    low, high = (np.array([getattr(interval, side) for interval in intervals]) for side in ("low", "high"))
    return low[successes], high[successes]
