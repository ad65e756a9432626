"""Look into one model: ``python -m pipeline.probe --model ID``."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline import files, stage
from pipeline.params import ModelParams, Params
from robustness import probes
from robustness.data.image_set import ImageSet
from robustness.data.sampling import spread_over_objects
from robustness.devices import resolve


def probe(params: Params, name: str, model_params: ModelParams) -> None:
    """Write the table ``probes`` of one model, the arrays behind its pictures, and the pictures."""
    from reports.probes import draw

    images = ImageSet.open(files.IMAGES)
    device = resolve(params.device)
    model = stage.load_model(params, name, images).to(device)
    clean = images.rows(split="test", shift="clean")
    rows = spread_over_objects(images, clean, params.probe.images, seed=params.seed)
    x, y = images.batch(rows).to(device), images.labels(rows)
    tables = []
    with files.whole(files.RESULTS / name / "probe") as folder:
        (folder / "figures").mkdir(parents=True)
        for probe_name, settings in params.probe.probes.items():
            with stage.unit_progress(f"probe {name}: {probe_name}") as progress:
                result = probes.run(probe_name, model, x, y, seed=params.seed, progress=progress, **settings)
            tables.append(result.table.assign(model=name))
            np.savez_compressed(folder / f"{probe_name}.npz", **result.arrays)
            draw(result, folder / "figures", classes=images.classes)
        table = pd.concat(tables, ignore_index=True)
        table.to_parquet(folder / "probes.parquet", index=False)


if __name__ == "__main__":
    stage.run_model(probe)
