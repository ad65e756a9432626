"""Look into one model: ``python -m pipeline.probe --model ID``."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import nn

from pipeline import files, stage
from pipeline.params import ModelParams, Params
from robustness import attacks, probes
from robustness.data.image_set import ImageSet
from robustness.data.sampling import spread_over_objects
from robustness.devices import resolve
from robustness.errors import UserError


def probe(params: Params, name: str, model_params: ModelParams) -> None:
    """Write the table ``probes`` of one model and the arrays behind its pictures."""
    images = ImageSet.open(files.IMAGES)
    device = resolve(params.device)
    model = stage.load_model(params, name, images).to(device)
    clean = images.rows(split="test", shift="clean")
    rows = spread_over_objects(images, clean, params.probe.images, seed=params.seed)
    x, y = images.batch(rows).to(device), images.labels(rows)
    placed = {
        condition: _placed(params, model, images, condition, rows, device)
        for condition in (params.probe.placed if "embedding" in params.probe.probes else ())
    }
    tables = []
    with files.whole(files.RESULTS / name / "probe") as folder:
        folder.mkdir(parents=True)
        for probe_name, settings in params.probe.probes.items():
            with stage.unit_progress(f"probe {name}: {probe_name}") as progress:
                extra = {"placed": placed} if probe_name == "embedding" else {}
                result = probes.run(
                    probe_name, model, x, y, seed=params.seed, progress=progress, **extra, **settings
                )
            tables.append(result.table.assign(model=name))
            np.savez_compressed(folder / f"{probe_name}.npz", **result.arrays)
        table = pd.concat(tables, ignore_index=True)
        table.to_parquet(folder / "probes.parquet", index=False)


def _placed(
    params: Params, model: nn.Module, images: ImageSet, condition: str, rows: np.ndarray, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and labels of a condition: of the image set, or clean ones attacked by PGD (20 steps) in L∞."""
    shift, *rest = condition.split("/")
    if shift == "attack":
        few = rows[:: max(1, len(rows) // params.probe.placed_images)][: params.probe.placed_images]
        x, y, epsilon = images.batch(few), images.labels(few), float(rest[0]) / 255
        setup = attacks.Setup(
            draws=params.attack.draws, batch_size=params.attack.batch_size, seed=params.seed
        )
        found = attacks.attack(
            model, x, y, {"pgd": {"steps": 20}}, [epsilon], setup, samples=few, device=device, keep=len(few)
        )
        return found.adversarials[epsilon].to(device), y
    there = images.rows(split="test", shift=shift, factor=rest[0], level=rest[1])
    if len(there) == 0:
        raise UserError(f"params.yaml: probe.placed: no images of the condition {condition!r} were rendered")
    few = spread_over_objects(images, there, params.probe.placed_images, seed=params.seed)
    return images.batch(few).to(device), images.labels(few)


if __name__ == "__main__":
    stage.run_model(probe)
