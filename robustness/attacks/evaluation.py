"""The table ``attacks``: what stands at every ε after the rungs of a suite, image by image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from robustness.attacks import geometry
from robustness.attacks.attacked_model import AttackedModel
from robustness.attacks.best_adversarials import STANDS, STANDS_UNDER_NOISE, BestAdversarials
from robustness.attacks.checkpoints import FolderCheckpoints, fingerprint, unit_key
from robustness.attacks.engine import search
from robustness.attacks.foolbox_runner import run_foolbox
from robustness.attacks.iterative import IterativeAttack
from robustness.attacks.registry import Planned, Suite
from robustness.attacks.suites import CONVERGED, FAR, Rung, ladder
from robustness.attacks.validation import check_epsilons, check_images, check_logits
from robustness.attacks.variants import WHOLE
from robustness.errors import UserError
from robustness.statistics.proportions import wilson

Progress = Callable[[str, int, int], None]  # what attacks, images done, images of this attack and ε


@dataclass(frozen=True)
class Setup:
    """How an evaluation runs; what it finds depends on all but ``batch_size``.

    norm: linf, l2 or l1. eot_samples, eval_samples, noise, seed: as in :class:`AttackedModel`; the first for
    attacks whose rung says
        nothing else.

    Raises UserError for an unknown norm and a batch size below 1.
    """

    norm: str = "linf"
    eot_samples: int = 10
    eval_samples: int = 20
    noise: str = "live"
    batch_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        geometry.check_norm(self.norm, who="attack")
        if self.batch_size < 1:
            raise UserError(f"batch_size is {self.batch_size}; use 1 or more")

    def attacked(self, model: nn.Module, device: torch.device | str) -> AttackedModel:
        """``model`` as this evaluation attacks it."""
        return AttackedModel(
            model,
            device=device,
            eot_samples=self.eot_samples,
            eval_samples=self.eval_samples,
            noise=self.noise,
            batch_size=self.batch_size,
            seed=self.seed,
        )


@dataclass
class Outcome:
    """What an evaluation found.

    table: as :func:`attack`. adversarials: ε → (keep, C, H, W) float32, for each of the first ``keep``
    images the strongest known within ε: the one with the smallest share of right answers, of such that are
    never wrong one that raises the loss; the clean image where none ran. attacks: ε → names of those that
    ran at it, or sought the smallest perturbation.
    """

    table: pd.DataFrame
    adversarials: dict[float, Tensor]
    attacks: dict[float, frozenset[str]] = field(default_factory=dict)


def attack(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    suite: Suite | Sequence[Rung],
    epsilons: Sequence[float],
    setup: Setup,
    *,
    samples: Sequence[int] | None = None,
    objects: Sequence[str] | None = None,
    name: str = "model",
    device: torch.device | str = "cpu",
    checkpoints: FolderCheckpoints | None = None,
    progress: Progress | None = None,
    keep: int = 0,
    allowed: Tensor | None = None,
    variant: str = WHOLE,
) -> Outcome:
    """Attack ``model``: a table of one row per (ε, image), and the adversarial examples of the first ``keep``
    images.

    images: (N, C, H, W) float32 in [0, 1]; labels: (N,) int; epsilons: in image units (8/255), ε = 0 allowed;
    suite: the rungs of :func:`robustness.attacks.suites.ladder`, or the attacks of the only one; samples:
    (N,) ids that random numbers belong to; objects: (N,) what the images show; checkpoints: keep what is
    finished, an (attack, ε) of a rung at a time; allowed: (N, 1, H, W) bool, the pixels that may be changed
    (None: all), by this project's own attacks alone; variant: what the table calls that.

    Each attack runs on the images that stand after those before it, from the largest ε down: an image that
    lost nothing by it within ε is not attacked by it within less (under noise one that lost a part of its
    right answers is), and a perturbation counts at every ε that is not smaller than it. The next rung runs at
    the ε at which this one lowered the robust accuracy by 1 point or more (an extra rung: 2 points), the
    second rung wherever an image stands. With noise an image is right by its share of right answers over
    ``eval_samples`` queries under fresh noise, drawn anew for the table: those that chose the strongest
    example would flatter the attack.

    Columns: model, variant, norm, epsilon (∞: of any size, by attacks that minimise it), sample, object,
    label, clean_right and right (share of right answers on the clean image and on the strongest example
    known; 0 or 1 without noise), before (the same before the last rung), low, high (95 % Wilson interval of
    ``right`` over the samples of the noise),
    clean_correct and robust (more than half of the answers are right, clean and at this ε), distance (size of
    the smallest adversarial perturbation known, in image units; 0 if misclassified without, NaN if robust),
    by (the attack that broke it, "clean" if it was misclassified before, "" if robust), rung (at which it
    fell, 0 if it stands or was wrong before), rungs (that ran at this ε), eval_samples, noise.

    Raises UserError for images outside [0, 1], labels out of range, a model that gives probabilities or
    NaN, an unknown attack, setting or norm, ε < 0.
    """
    check_images(images, labels)
    images, labels = images.detach().float(), labels.long()
    limits = check_epsilons(epsilons)
    rungs = ladder([suite], setup.norm) if isinstance(suite, Mapping) else tuple(suite)
    ids = np.arange(len(images)) if samples is None else np.asarray(samples)
    groups = ids.astype(str) if objects is None else np.asarray(objects)
    for what, column in (("samples", ids), ("objects", groups)):
        if column.shape != (len(images),):
            raise UserError(f"{what}: need one for each of the {len(images)} images, found {column.shape}")
    with setup.attacked(model, device) as attacked:
        run = _Run(attacked, images, labels, ids, limits, setup, checkpoints, progress, keep, allowed)
        for number, rung in enumerate(rungs, start=1):
            run.climb(number, rung)
        table = run.table()
    table.insert(0, "model", name)
    table.insert(1, "variant", variant)
    table.insert(5, "object", np.tile(groups, len(limits) + 1))
    climbed = zip(limits, run.best.rungs, strict=False)
    ran = {e: frozenset(name for rung in rungs[:number] for name in rung.attacks) for e, number in climbed}
    return Outcome(table, run.best.images_by_epsilon(min(keep, len(images))), ran)


class _Run:
    """One evaluation on its way: the attacked model, the images, and their best adversarial examples."""

    def __init__(
        self,
        model: AttackedModel,
        images: Tensor,
        labels: Tensor,
        ids: np.ndarray,
        epsilons: tuple[float, ...],
        setup: Setup,
        checkpoints: FolderCheckpoints | None,
        progress: Progress | None,
        keep: int,
        allowed: Tensor | None,
    ) -> None:
        self.allowed = allowed
        self.model, self.images, self.labels, self.ids = model, images, labels, ids
        self.epsilons, self.setup, self.checkpoints, self.progress = epsilons, setup, checkpoints, progress
        self.minimised: set[str] = set()
        self.score_keys = model.keys(ids, "score")
        logits = model.logits(images, self.score_keys)
        check_logits(logits, labels.cpu())
        share = (logits.argmax(-1) == labels.cpu()).float().mean(0).numpy()
        # All examples of a model with noise: the table is made under noise drawn anew.
        self.keep = len(images) if model.stochastic else min(keep, len(images))
        stands = STANDS_UNDER_NOISE if model.stochastic else STANDS
        self.best = BestAdversarials(share, epsilons, images[: self.keep].cpu(), stands)
        self.verdict_keys = model.keys(ids, "verdict")
        self.clean_right = share
        if model.stochastic:
            self.clean_right = model.right_share(images, labels, self.verdict_keys).numpy()
        self._judge()
        if checkpoints is not None:
            settings = {key: value for key, value in asdict(setup).items() if key != "batch_size"}
            marked = labels if allowed is None else torch.where(allowed, labels.view(-1, 1, 1, 1), -1)
            self.identity = fingerprint(model.model, images, marked, ids, settings)

    def climb(self, number: int, rung: Rung) -> None:
        """Run the attacks of a rung at the ε's at which the one before broke too many."""
        anew = number <= 2 and not rung.extra
        least = FAR if rung.extra else CONVERGED
        wanted = [e for e in self.epsilons if e > 0 and (anew or self.best.lowered(e) >= least)]
        if not wanted:
            return
        self.best.climbed(number, wanted)
        with self.model.searching(rung.eot_samples):
            for item in rung.plan(self.setup.norm):
                built = item.build()
                if self.allowed is not None and not isinstance(built, IterativeAttack):
                    continue
                if item.entry.kind == "minimal":
                    # The first of a suite on all images: their median distance is a score.
                    stands = [self.best.standing(e) for e in wanted]
                    first = item.name not in self.minimised
                    self.minimised.add(item.name)
                    rows = np.flatnonzero(self.best.clean_share > 0.5 if first else np.any(stands, axis=0))
                    self._unit(item, built, number, rung, None, rows)
                    continue
                withstood = np.zeros(len(self.ids), dtype=bool)
                for epsilon in wanted[::-1]:
                    rows = np.flatnonzero(self.best.standing(epsilon) & ~withstood)
                    share = self._unit(item, built, number, rung, epsilon, rows)
                    withstood[rows[share >= self.best.clean_share[rows]]] = True
        self._judge()

    def _judge(self) -> None:
        """Look at the strongest examples so far, of a model with noise under noise that chose none of them:
        the least of several shares under the same noise would flatter the attack."""
        best, model = self.best, self.model
        best.right = best.share.copy()
        if not model.stochastic:
            return
        clean = self.images.cpu().numpy()
        for level, images in enumerate(best.images):
            best.right[level] = self.clean_right
            rows = np.flatnonzero((images != clean).any(axis=(1, 2, 3)))
            if len(rows):
                points, keys = torch.from_numpy(images[rows]), self.verdict_keys[rows]
                best.right[level, rows] = model.right_share(points, self.labels[rows], keys).numpy()

    def _unit(
        self, item: Planned, built: Any, number: int, rung: Rung, epsilon: float | None, rows: np.ndarray
    ) -> np.ndarray:
        """One attack of a rung at one ε (None: the smallest perturbation) on ``rows`` (n,), from the
        checkpoints if it is there; (n,) the share of right answers then."""
        found, key = None, ""
        if self.checkpoints is not None:
            key = unit_key(item, number, rung, epsilon, self.identity)
            found = self.checkpoints.get(key)
        if found is None or not np.array_equal(found["rows"], rows):
            found = self._search(item, built, number, rung, epsilon, rows)
            if self.checkpoints is not None:
                self.checkpoints[key] = found
        self.best.add(item.name, number, epsilon, rows, found["share"], found["distance"], found["images"])
        return found["share"]

    def _search(
        self, item: Planned, built: Any, number: int, rung: Rung, epsilon: float | None, rows: np.ndarray
    ) -> dict[str, np.ndarray]:
        """For each of ``rows`` the share of evaluation samples with the right answer and the size of the
        perturbation; the adversarial examples of those to keep."""
        clean, y, ids = self.images[rows], self.labels[rows], self.ids[rows]
        size = self.setup.batch_size
        text = f"{item.name} {item.norm}, rung {number}" + ("" if epsilon is None else f", ε {epsilon:.4g}")
        report = (lambda done: self.progress(text, done, len(rows))) if self.progress else None
        if report:
            report(0)
        if len(rows) == 0:
            points = clean.cpu()
        elif isinstance(built, IterativeAttack):
            stream = item.name if number == 1 else f"{item.name} {number}"  # each rung starts elsewhere
            points = search(
                built, self.model, clean, y, ids, epsilon, batch_size=size, stream=stream, report=report,
                allowed=None if self.allowed is None else self.allowed[rows],
            ).images  # fmt: skip
        else:
            points = run_foolbox(
                built, self.model, clean, y, ids, epsilon, batch_size=size, alone=item.entry.alone
            )
        origin = clean.cpu()
        if epsilon is not None:
            points = geometry.project(points, origin, epsilon, item.norm)
        share = np.ones(0, dtype=np.float32)
        if len(rows):
            share = self.model.right_share(points, y, self.score_keys[rows]).numpy()
        distance = geometry.size(points - origin, item.norm).numpy()
        if report:
            report(len(rows))
        return {
            "rows": rows,
            "share": share,
            "distance": distance,
            "images": points[rows < self.keep].numpy(),
        }

    def table(self) -> pd.DataFrame:
        """The rows of all ε's, ∞ last, with shares of right answers under noise drawn anew."""
        best, model = self.best, self.model
        best.clean_share = self.clean_right
        frames = [best.rows(level) for level in range(len(self.epsilons) + 1)]
        for frame, epsilon in zip(frames, (*self.epsilons, float("inf")), strict=True):
            facts = {"norm": self.setup.norm, "epsilon": epsilon, "sample": self.ids,
                     "label": self.labels.cpu().numpy()}  # fmt: skip
            for place, (column, values) in enumerate(facts.items()):
                frame.insert(place, column, values)
        table = pd.concat(frames, ignore_index=True)
        low = high = table["right"]
        if model.stochastic:
            low, high = _wilson(table["right"].to_numpy(), model.eval_samples)
        for column, values in (("high", high), ("low", low)):
            table.insert(table.columns.get_loc("right") + 1, column, values)
        noise = self.setup.noise if model.has_noise else "none"
        return table.assign(eval_samples=model.eval_samples, noise=noise)


def _wilson(share: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """95 % Wilson interval of shares of ``count``."""
    intervals = [wilson(successes, count) for successes in range(count + 1)]
    successes = np.round(share * count).astype(int)
    low, high = (np.array([getattr(interval, side) for interval in intervals]) for side in ("low", "high"))
    return low[successes], high[successes]
