"""Show every model the adversarial images of all others: ``python -m pipeline.transfer``."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import torch

from pipeline import files, stage
from pipeline.params import Params
from robustness import attacks
from robustness.data.image_set import ImageSet
from robustness.devices import resolve

# Fresh draws that decide on a stochastic target: a matrix of all pairs needs no more.
SCORE_DRAWS = 4


def transfer(params: Params) -> None:
    """Write the table ``transfer``: how often images made for one model at the largest ε fool another."""
    images = ImageSet.open(files.IMAGES)
    norm = "linf" if "linf" in params.attack.norms else next(iter(params.attack.norms))
    epsilon = max(params.budgets(norm))
    setup = replace(params.attack_setup(norm), score_draws=min(SCORE_DRAWS, params.attack.score_draws))
    sources = {}
    for name in params.models:
        wanted = ("rows", f"{norm}/{epsilon:.6g}")
        rows, found = files.read_arrays(files.RESULTS / name / "attack" / "images.npz", wanted)
        sources[name] = torch.from_numpy(found)
    x, y = images.batch(rows), images.labels(rows)
    parts = []
    with stage.progress(len(params.models), "transfer", "model") as bar:
        for name in params.models:
            model = stage.load_model(params, name, images)
            device = resolve(params.device)
            parts.append(
                attacks.transfer(model, name, sources, x, y, epsilon, setup, samples=rows, device=device)
            )
            bar.update()
    files.write_table(pd.concat(parts, ignore_index=True), files.TRANSFER)


if __name__ == "__main__":
    stage.run(transfer)
