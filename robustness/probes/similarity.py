"""Likeness of representations by linear CKA: layer with layer, and clean with shifted images.

The measure is in ``robustness.statistics.cka``. Of the clean images the Gram matrices are kept, so that any
two models of a run can be compared afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor, nn

from robustness.errors import UserError
from robustness.probes.layers import features, fitting, probing, relative_depths, stage_paths
from robustness.probes.registry import register
from robustness.probes.result import ProbeResult, Progress, Rows, to_numpy
from robustness.statistics.cka import alignment, gram

NAME = "similarity"
LEAST = 8


@register("similarity")
def run(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    seed: int = 0,
    stages: Sequence[str] | None = None,
    shifted: Mapping[str, tuple[Tensor, Tensor]] | None = None,
    batch: int = 128,
    progress: Progress | None = None,
) -> ProbeResult:
    """Compare all features, positions included, of ``images`` (N, 3, H, W) at the stages with one another.

    ``shifted``: condition → places (M,) in ``images``, and these images under the condition (M, 3, H, W).

    Rows per stage: ``with_last``, the debiased CKA with the last of the stages; for every condition
    ``shifted/<condition>``, that of the clean and of the shifted images at the stage.

    Arrays: ``stages``; ``within`` (S, S), stage with stage; ``shifted/<condition>`` (S, S), clean (rows) with
    shifted (columns); ``gram/<stage>`` float32 (N, N). NaN for a stage that does not tell the images apart.

    Raises UserError if there are fewer than eight images.
    """
    if len(images) < LEAST:
        raise UserError(f"similarity: {len(images)} images are too few; give at least {LEAST}")
    paths = stage_paths(model, stages)
    names, batch = list(paths), fitting(batch, images)
    enough = {name: moved for name, (_, moved) in (shifted or {}).items() if len(moved) >= LEAST}
    sets = {"": images} | enough
    caught: dict[str, dict[str, np.ndarray]] = {}
    with probing(model, seed=seed):
        rows = Rows(NAME, relative_depths(model, paths, images[:1]))
        for done, (name, those) in enumerate(sets.items()):
            found = features(model, paths, those, batch=batch)
            caught[name] = {stage: to_numpy(value.flatten(1)) for stage, value in found.items()}
            if progress:
                progress("features", done + 1, len(sets))
    clean = caught.pop("")
    grams = {stage: gram(clean[stage]) for stage in names}
    within = np.array([[alignment(grams[a], grams[b]) for b in names] for a in names])
    arrays = {"stages": np.array(names), "within": within}
    arrays |= {f"gram/{stage}": grams[stage].astype(np.float32) for stage in names}
    for stage, value in zip(names, within[:, -1], strict=True):
        rows.add(stage, "with_last", value)
    for name, moved in caught.items():
        places = to_numpy(shifted[name][0])
        before = {stage: gram(clean[stage][places]) for stage in names}
        after = {stage: gram(moved[stage]) for stage in names}
        across = np.array([[alignment(before[a], after[b]) for b in names] for a in names])
        arrays[f"shifted/{name}"] = across
        for stage, value in zip(names, np.diag(across), strict=True):
            rows.add(stage, f"shifted/{name.replace('/', '_')}", value)
    return ProbeResult(NAME, rows.table(), arrays)
