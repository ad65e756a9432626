"""All that is asked of one model under attack: every norm, the checks, and the studies of its noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from robustness import frontends
from robustness.attacks import checks
from robustness.attacks.checkpoints import FolderCheckpoints
from robustness.attacks.checks.verdict import table
from robustness.attacks.evaluation import Progress, Setup, attack
from robustness.attacks.gradients import gradients
from robustness.attacks.noise_study import COLUMNS, eot_sweep, noise_modes
from robustness.attacks.settings import AttackSettings
from robustness.attacks.variants import variants
from robustness.data.image_set import ImageSet

NOISE_STUDY = {"apgd_ce": {"steps": 20}}
"""The attack with which the studies of a model's noise are made."""


def attack_in_all_norms(
    model: nn.Module,
    images: ImageSet,
    settings: AttackSettings,
    *,
    name: str,
    seed: int,
    device: torch.device,
    checkpoints: FolderCheckpoints | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, pd.DataFrame], dict[str, np.ndarray]]:
    """Attack a classifier on clean test images, spread over objects; tables and arrays.

    Tables: ``attacks``, ``gradients`` (of a model with noise with it live and off), ``checks`` (of L∞),
    ``noise`` and ``eot`` (of L∞, for a model with noise).
    Arrays: ``rows`` (K,) of the first images, ``clean``, and for each ``<norm>/<ε>`` their adversarial
    images (K, C, H, W) in [0, 1]. A model without a defence is its own positive control.
    """
    clean = images.rows(split="test", shift="clean")
    rows = images.spread_over_objects(clean, settings.images, seed=seed)
    x, y = images.batch(rows), images.labels(rows)
    objects = images.samples["object"].to_numpy()[rows]
    who = {"samples": rows, "name": name, "device": device}
    attacked: list[pd.DataFrame] = []
    slopes: list[pd.DataFrame] = []
    tables = {study: pd.DataFrame(columns=list(COLUMNS)) for study in ("noise", "eot")}
    tables["checks"] = table(name, [])
    arrays = {"clean": x[: settings.keep].numpy(), "rows": rows[: settings.keep]}
    noisy = frontends.is_stochastic(model)
    for norm in settings.norms:
        setup, budgets = settings.setup(norm, seed), settings.budgets(norm)
        outcome = attack(
            model,
            x,
            y,
            settings.ladder(norm, noisy=noisy, classes=len(images.classes)),
            budgets,
            setup,
            objects=objects,
            checkpoints=checkpoints,
            progress=progress,
            keep=settings.keep,
            **who,
        )
        attacked.append(outcome.table)
        arrays |= {f"{norm}/{epsilon:.6g}": found.numpy() for epsilon, found in outcome.adversarials.items()}
        modes = [setup, replace(setup, noise="off")] if noisy else [setup]
        slopes += [gradients(model, x, y, each, objects=objects, **who) for each in modes]
        if norm != "linf":
            continue
        plain = model.spec.frontend == "learned" and model.spec.training != "adversarial"
        tables["checks"] = checks.run(model, x, y, outcome, setup, settings.checks, undefended=plain, **who)
        if settings.variants is not None and name in (settings.variants.models or [name]):
            for variant in variants(images, settings.variants, seed=seed):
                on_variant = attack(
                    model,
                    variant.images,
                    variant.labels,
                    settings.ladder(norm, noisy=noisy, classes=len(images.classes)),
                    [epsilon / 255 for epsilon in variant.epsilons],
                    setup,
                    objects=images.samples["object"].to_numpy()[variant.rows],
                    checkpoints=checkpoints,
                    progress=progress,
                    allowed=variant.allowed,
                    variant=variant.name,
                    **(who | {"samples": variant.rows}),
                )
                attacked.append(on_variant.table)
        studied = settings.noise_models is None or name in settings.noise_models
        if studied and noisy:
            few = slice(settings.noise_images)
            part, told = (model, x[few], y[few], NOISE_STUDY), who | {"samples": rows[few]}
            tables["noise"] = noise_modes(*part, budgets, setup, **told)
            epsilon = checks.telling_epsilon(outcome.table)
            tables["eot"] = eot_sweep(*part, epsilon, settings.eot_sweep, setup, **told)
    tables |= {"attacks": pd.concat(attacked, ignore_index=True),
               "gradients": pd.concat(slopes, ignore_index=True)}  # fmt: skip
    return tables, arrays


def attacked_by_pgd(
    model: nn.Module,
    images: ImageSet,
    rows: np.ndarray,
    epsilon: float,
    *,
    eot_samples: int,
    batch_size: int,
    seed: int,
    device: torch.device,
) -> Tensor:
    """The images of ``rows`` under PGD (L∞, 20 steps; ``epsilon`` in image units)."""
    x, y = images.batch(rows), images.labels(rows)
    setup = Setup(eot_samples=eot_samples, batch_size=batch_size, seed=seed)
    pgd = {"pgd": {"steps": 20}}
    found = attack(model, x, y, pgd, [epsilon], setup, samples=rows, device=device, keep=len(rows))
    return found.adversarials[epsilon].to(device)
