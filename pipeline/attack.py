"""Attack one model: ``python -m pipeline.attack --model ID``."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd

from pipeline import files, stage
from pipeline.params import ModelParams, NormParams, Params
from robustness import attacks, frontends
from robustness.attacks import checks
from robustness.data.image_set import ImageSet
from robustness.data.sampling import spread_over_objects
from robustness.devices import resolve


def attack(params: Params, name: str, model_params: ModelParams) -> None:
    """Write the tables of attacks, checks and noise studies of one model, and adversarial images."""
    images = ImageSet.open(files.IMAGES)
    model = stage.load_model(params, name, images)
    clean = images.rows(split="test", shift="clean")
    rows = spread_over_objects(images, clean, params.attack.images, seed=params.seed)
    x, y = images.batch(rows), images.labels(rows)
    who = {"samples": rows, "name": name, "device": resolve(params.device)}
    tables: dict[str, list[pd.DataFrame]] = {"attacks": [], "checks": [], "noise": [], "draws": []}
    arrays = {"clean": x[: params.attack.keep].numpy(), "rows": rows[: params.attack.keep]}
    finished = files.WORK / name / "attack"
    for norm, suite in params.attack.norms.items():
        setup = params.attack_setup(norm)
        with stage.unit_progress(f"attack {name}: {norm}", "image") as progress:
            outcome = attacks.attack(
                model,
                x,
                y,
                suite.attacks,
                params.budgets(norm),
                setup,
                objects=images.samples["object"].to_numpy()[rows],
                store=attacks.FolderStore(finished),
                progress=progress,
                keep=params.attack.keep,
                **who,
            )
        tables["attacks"].append(outcome.table)
        arrays |= {f"{norm}/{epsilon:.6g}": found.numpy() for epsilon, found in outcome.adversarials.items()}
        if norm == "linf":
            scale = checks.Scale(**params.attack.checks)
            twin = model if params.is_undefended(name) else None
            tables["checks"].append(checks.run(model, x, y, outcome, setup, twin=twin, scale=scale, **who))
            studied = params.attack.noise_models is None or name in params.attack.noise_models
            if studied and frontends.is_stochastic(model):
                few = slice(params.attack.noise_images)
                part, told = (model, x[few], y[few], first_of(suite)), who | {"samples": rows[few]}
                tables["noise"].append(attacks.noise_modes(*part, params.budgets(norm), setup=setup, **told))
                epsilon = checks.reference_epsilon(outcome.table)
                tables["draws"].append(
                    attacks.draws_sweep(*part, epsilon, params.attack.draws_sweep, setup, **told)
                )
    with files.whole(files.RESULTS / name / "attack") as folder:
        folder.mkdir(parents=True)
        for table, parts in tables.items():
            if parts:
                pd.concat(parts, ignore_index=True).to_parquet(folder / f"{table}.parquet", index=False)
        np.savez_compressed(folder / "images.npz", **arrays)
    shutil.rmtree(finished, ignore_errors=True)


def first_of(suite: NormParams) -> dict[str, dict]:
    """The first attack alone: what the studies of the noise run."""
    name = next(iter(suite.attacks))
    return {name: suite.attacks[name]}


if __name__ == "__main__":
    stage.run_model(attack)
