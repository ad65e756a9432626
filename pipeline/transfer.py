"""Show every model the adversarial images of all others: ``python -m pipeline.transfer``."""

from __future__ import annotations

import pandas as pd
import torch

from pipeline import files, inputs, stage
from pipeline.settings import StageSettings
from robustness import attacks, progress
from robustness.attacks import checks
from robustness.devices import resolve
from robustness.whole_files import read_arrays, read_table, write_table

READS = ("seed", "attack", "models")


def transfer(settings: StageSettings) -> None:
    """Write the table ``transfer``, what images made for one model do to another, and the checks that it
    allows."""
    tables = [read_table(files.RESULTS / name / files.RESULTS_OF["attacks"]) for name in settings.models]
    attacked = pd.concat(tables)
    norm, epsilon, setup = settings.attack.of_transfer(settings.seed, attacked)
    sources = {}
    for name in settings.models:
        wanted = ("rows", f"{norm}/{epsilon:.6g}")
        rows, found = read_arrays(files.RESULTS / name / "attack" / "images.npz", wanted)
        sources[name] = torch.from_numpy(found)
    images = inputs.image_set()
    x, y, device = images.batch(rows), images.labels(rows), resolve(settings.device)
    parts = []
    with progress.counted("transfer", len(sources), "model") as bar:
        for name in sources:
            model = inputs.load_model(name)
            parts.append(
                attacks.transfer(model, name, sources, x, y, epsilon, setup, samples=rows, device=device)
            )
            bar(1)
    found = pd.concat(parts, ignore_index=True)
    write_table(checks.transferred(found, attacked), files.TRANSFER_CHECKS)
    write_table(found, files.TRANSFER)


if __name__ == "__main__":
    stage.run(transfer, READS)
