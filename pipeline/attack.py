"""Attack one model: ``python -m pipeline.attack --model ID``."""

from __future__ import annotations

import shutil

import numpy as np

from pipeline import files, inputs, stage
from pipeline.settings import StageSettings
from robustness import attacks, progress
from robustness.devices import resolve
from robustness.whole_files import whole

READS = ("seed", "attack")


def attack(settings: StageSettings, name: str) -> None:
    """Write the tables of attacks, checks and noise studies of one model, and adversarial images."""
    suite = settings.attack
    images = inputs.image_set()
    model = inputs.load_model(name)
    finished = files.WORK / name / "attack"
    with progress.units(f"attack {name}", "image") as bar:
        tables, arrays = attacks.attack_in_all_norms(
            model,
            images,
            suite,
            name=name,
            seed=settings.seed,
            device=resolve(settings.device),
            checkpoints=attacks.FolderCheckpoints(finished),
            progress=bar,
        )
    with whole(files.RESULTS / name / "attack") as folder:
        folder.mkdir(parents=True)
        for table, rows in tables.items():
            rows.to_parquet(folder / f"{table}.parquet", index=False)
        np.savez_compressed(folder / "images.npz", **arrays)
    shutil.rmtree(finished, ignore_errors=True)


if __name__ == "__main__":
    stage.run_model(attack, READS)
