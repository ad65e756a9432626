"""Look into one model: ``python -m pipeline.probe --model ID``."""

from __future__ import annotations

from functools import partial

import pandas as pd

from pipeline import files, inputs, stage
from pipeline.settings import StageSettings
from robustness import progress
from robustness.attacks import attacked_by_pgd
from robustness.devices import resolve
from robustness.probes.looking import look
from robustness.report.pictures import keep_probe
from robustness.whole_files import whole

READS = ("seed", "probe", "attack.eot_samples", "attack.batch_size")


def probe(settings: StageSettings, name: str) -> None:
    """Write the table ``probes`` of one model, its pictures, and the arrays behind them."""
    wanted, how = settings.probe, vars(settings.attack)
    common = {"seed": settings.seed, "device": resolve(settings.device)}
    images = inputs.image_set()
    model = inputs.load_model(name)
    results = look(
        model,
        images,
        wanted,
        attacked=partial(attacked_by_pgd, model, images, **how, **common),
        bar=lambda probed: progress.units(f"probe {name}: {probed}"),
        **common,
    )
    tables = []
    with whole(files.RESULTS / name / "probe") as folder:
        folder.mkdir(parents=True)
        for result in results:
            tables.append(result.table.assign(model=name))
            keep_probe(result.probe, result.arrays, folder, images.classes)
        pd.concat(tables, ignore_index=True).to_parquet(folder / "probes.parquet", index=False)


if __name__ == "__main__":
    stage.run_model(probe, READS)
