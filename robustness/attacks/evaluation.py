"""The table ``attacks``: every attack of a suite at every ε, per example, and the worst case over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from robustness.attacks import geometry
from robustness.attacks.attacked_model import AttackedModel
from robustness.attacks.best_adversarials import WORST, BestAdversarials
from robustness.attacks.checkpoints import FolderCheckpoints, fingerprint, unit_key
from robustness.attacks.registry import Planned, Suite, plan
from robustness.attacks.validation import check_epsilons, check_images, check_logits
from robustness.errors import UserError
from robustness.statistics.proportions import wilson

Progress = Callable[[str, int, int], None]  # what attacks, images done, images of this attack and ε


@dataclass(frozen=True)
class Setup:
    """How an evaluation runs; what it finds depends on all but ``batch_size``.

    norm: linf, l2 or l1.
    eot_samples, eval_samples, noise, seed: as in :class:`AttackedModel`; the first two for models with live
        noise, ``noise`` for models with noise.

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
            seed=self.seed,
        )


@dataclass
class Outcome:
    """What an evaluation found.

    table: as :func:`attack`. adversarials: ε → (keep, C, H, W) float32, for each of the first ``keep``
    images the best that the attacks run at that ε found, within ε: one that is misclassified if there is
    any, else one that raises the loss; the clean image where none ran.
    """

    table: pd.DataFrame
    adversarials: dict[float, Tensor]


def attack(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    suite: Suite,
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
) -> Outcome:
    """Attack ``model``: a table of one row per (attack, ε, image), with the worst case (attack ``worst``)
    last, and the adversarial examples of the first ``keep`` images.

    images: (N, C, H, W) float32 in [0, 1]; labels: (N,) int; epsilons: in image units (8/255), ε = 0 allowed;
    suite: see :func:`robustness.attacks.registry.plan`; samples: (N,) ids that random numbers belong to;
    objects: (N,) what the images show; checkpoints: keep what is finished, an (attack, ε) at a time.

    An attack runs from the largest ε down, on the images that are robust so far at this ε and that it broke
    at the ε before; a perturbation counts at every ε that is not smaller than it. With noise an image is
    classified correctly if more than half of ``eval_samples`` queries under fresh noise are.

    Columns: model, attack, norm, epsilon, sample, object, label, clean_correct, robust (classified correctly,
    also after this attack and all before it in the suite), distance (size of the smallest adversarial
    perturbation known so far, in image units; 0 if misclassified without, NaN if robust), eval_samples,
    attacked (did this attack run on this image at this ε), by (the attack that broke it, "clean" if it was
    misclassified before, "" if robust), right, low, high (share of the evaluation samples with the right
    answer on the best adversarial example, and its 95 % Wilson interval; without noise 0 or 1), noise.

    An attack that minimises the perturbation has one row per image, with ε = inf; it counts in ``worst`` at
    every ε.

    Raises UserError for images outside [0, 1], labels out of range, a model that gives probabilities or
    NaN, an unknown attack, setting or norm, ε < 0.
    """
    check_images(images, labels)
    images, labels = images.detach().float(), labels.long()
    limits = check_epsilons(epsilons)
    planned = plan(suite, setup.norm)
    ids = np.arange(len(images)) if samples is None else np.asarray(samples)
    groups = ids.astype(str) if objects is None else np.asarray(objects)
    for what, column in (("samples", ids), ("objects", groups)):
        if column.shape != (len(images),):
            raise UserError(f"{what}: need one for each of the {len(images)} images, found {column.shape}")
    with setup.attacked(model, device) as attacked:
        run = _Run(
            attacked, images, labels, ids, limits, setup, checkpoints, progress, min(keep, len(images))
        )
        frames = [frame for item in planned for frame in run.attack(item)]
    frames += [run.rows(WORST, epsilon) for epsilon in limits]
    table = pd.concat(frames, ignore_index=True)
    table.insert(0, "model", name)
    table.insert(5, "object", np.tile(groups, len(frames)))
    return Outcome(table, run.best.images_by_epsilon())


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
    ) -> None:
        self.model, self.images, self.labels, self.ids = model, images, labels, ids
        self.epsilons, self.setup, self.checkpoints = epsilons, setup, checkpoints
        self.progress, self.keep = progress, keep
        self.score_keys = model.keys(ids, "score")
        logits = model.logits(images, self.score_keys)
        check_logits(logits, labels.cpu())
        share = (logits.argmax(-1) == labels.cpu()).float().mean(0).numpy()
        self.best = BestAdversarials(share, epsilons, images[:keep].cpu())
        if checkpoints is not None:
            settings = {key: value for key, value in asdict(setup).items() if key != "batch_size"}
            self.identity = fingerprint(model.model, images, labels, ids, settings)

    def attack(self, item: Planned) -> list[pd.DataFrame]:
        """Run one attack over the ε's; its rows, per ε."""
        built = item.build()
        if item.entry.kind == "minimal":
            self._unit(item, built, None, np.flatnonzero(self.best.clean_correct))
            return [self.rows(item.name, None)]
        withstood = np.zeros(len(self.ids), dtype=bool)
        for epsilon in self.epsilons[::-1]:
            if epsilon == 0:  # the ball is the clean image
                continue
            rows = np.flatnonzero(self.best.robust_at(epsilon) & ~withstood)
            broken = self._unit(item, built, epsilon, rows)
            withstood[rows[~broken]] = True
        return [self.rows(item.name, epsilon) for epsilon in self.epsilons]

    def _unit(self, item: Planned, built: Any, epsilon: float | None, rows: np.ndarray) -> np.ndarray:
        """One attack at one ε (None: the smallest perturbation) on ``rows`` (n,), from the checkpoints if it
        is there; (n,) bool, which are misclassified then."""
        found, key = None, ""
        if self.checkpoints is not None:
            key = unit_key(item, epsilon, self.identity)
            found = self.checkpoints.get(key)
        if found is None or not np.array_equal(found["rows"], rows):
            found = self._search(item, built, epsilon, rows)
            if self.checkpoints is not None:
                self.checkpoints[key] = found
        self.best.add(item.name, epsilon, rows, found["share"], found["distance"], found["images"])
        return found["share"] <= 0.5

    def _search(
        self, item: Planned, built: Any, epsilon: float | None, rows: np.ndarray
    ) -> dict[str, np.ndarray]:
        """For each of ``rows`` the share of evaluation samples with the right answer and the size of the
        perturbation; the adversarial examples of those to keep."""
        from robustness.attacks.engine import search
        from robustness.attacks.foolbox_runner import run_foolbox
        from robustness.attacks.iterative import IterativeAttack

        clean, y, ids = self.images[rows], self.labels[rows], self.ids[rows]
        size = self.setup.batch_size
        text = f"{item.name} {item.norm}" + ("" if epsilon is None else f" ε {epsilon:.4g}")
        report = (lambda done: self.progress(text, done, len(rows))) if self.progress else None
        if report:
            report(0)
        if len(rows) == 0:
            points = clean.cpu()
        elif isinstance(built, IterativeAttack):
            points = search(
                built, self.model, clean, y, ids, epsilon, batch_size=size, stream=item.name, report=report
            ).images
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

    def rows(self, label: str, epsilon: float | None) -> pd.DataFrame:
        """One row per image after the attack ``label`` at ``epsilon`` (None: the smallest perturbation)."""
        found = self.best.rows(epsilon, label)
        low = high = found["right"]
        if self.model.stochastic:
            low, high = _wilson(found["right"].to_numpy(), self.model.eval_samples)
        facts = {
            "attack": label,
            "norm": self.setup.norm,
            "epsilon": float("inf") if epsilon is None else epsilon,
            "sample": self.ids,
            "label": self.labels.cpu().numpy(),
        }
        for place, (column, values) in enumerate(facts.items()):
            found.insert(place, column, values)
        found.insert(found.columns.get_loc("attacked"), "eval_samples", self.model.eval_samples)
        noise = self.setup.noise if self.model.has_noise else "none"
        return found.assign(low=low, high=high, noise=noise)


def _wilson(share: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """95 % Wilson interval of shares of ``count``."""
    intervals = [wilson(successes, count) for successes in range(count + 1)]
    successes = np.round(share * count).astype(int)
    low, high = (np.array([getattr(interval, side) for interval in intervals]) for side in ("low", "high"))
    return low[successes], high[successes]
