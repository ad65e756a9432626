"""How alike the representations of two models, or of clean and shifted images, are, within question 5."""

from __future__ import annotations

import numpy as np
import pandas as pd

from robustness.report.context import ReportContext
from robustness.report.document import Answer, Figure
from robustness.report.pictures import probe_arrays
from robustness.report.plots.heat_maps import shares
from robustness.report.wording import number
from robustness.statistics.cka import alignment

CAPTION = (
    "How alike representations are, by stage: linear CKA (Kornblith et al. 2019), debiased, of all features "
    "of the same clean test images; 1: equal up to a rotation and a scale, 0: unrelated. Left: the model of "
    "the learned stem and its twin with the V1 front-end (noise frozen); beside it, where there is one, its "
    "replicate from another seed: the most that twins can share. Right: the learned model's own features of "
    "the clean and of the shifted images of the same scenes."
)


def figure(context: ReportContext) -> Figure | None:
    """One row per pair of a learned model and its twin; the numbers of a stage in a column."""
    twins, moved = _twins(context), {}
    if not twins:
        return None
    for name in twins:
        for condition, values in _own(context, name).items():
            moved.setdefault(condition, {})[name] = values
    panels = {"learned, V1": pd.DataFrame(twins).T}
    replicates = {name: line for name in twins if (line := _replicate(context, name))}
    if replicates:
        panels["learned, another seed"] = pd.DataFrame(replicates).T.reindex(list(twins))
    panels |= {f"clean, {name}": pd.DataFrame(lines).T.reindex(list(twins)) for name, lines in moved.items()}
    shares(context.figure("likeness"), panels)
    return Figure.of("likeness", CAPTION)


def answer(context: ReportContext) -> Answer | None:
    """Where a V1 front-end leaves what the stages hold as it was, over architectures."""
    lines = list(_twins(context).values())
    if len(lines) < 2:
        return None
    means = pd.DataFrame(lines).mean().dropna()
    told = ", ".join(f"{number(value)} at {stage}" for stage, value in means.items())
    return Answer(
        f"What learned nets and their twins with the V1 front-end make of the same images is alike (debiased "
        f"CKA, mean of {len(lines)} pairs): {told}."
    )


def between(context: ReportContext, one: str, other: str) -> dict[str, float]:
    """Stage → CKA of two models on the same clean images; empty where a model has not left its features."""
    a, b = (probe_arrays(context.inputs.pictures, name, "similarity") for name in (one, other))
    return {
        stage: alignment(a[f"gram/{stage}"].astype(float), b[f"gram/{stage}"].astype(float))
        for stage in map(str, a.get("stages", ()))
        if f"gram/{stage}" in b and len(a[f"gram/{stage}"]) == len(b[f"gram/{stage}"])
    }


def _twins(context: ReportContext) -> dict[str, dict[str, float]]:
    """Learned model → stage → CKA with its twin that has the V1 front-end."""
    return {
        learned.name: line
        for vone, learned in context.models.pairs("frontend", "vone", "learned")
        if learned.training == "canonical" and (line := between(context, learned.name, vone.name))
    }


def _replicate(context: ReportContext, name: str) -> dict[str, float]:
    own = context.models.by_name(name)
    facts = ("architecture", "frontend", "training", "width")
    others = context.models.where(**{fact: getattr(own, fact) for fact in facts})
    return next((line for m in others if m.name != name and (line := between(context, name, m.name))), {})


def _own(context: ReportContext, name: str) -> dict[str, dict[str, float]]:
    """Condition → stage → CKA of clean and shifted images within one model."""
    arrays = probe_arrays(context.inputs.pictures, name, "similarity")
    stages = [str(stage) for stage in arrays["stages"]]
    return {
        key.removeprefix("shifted/"): dict(zip(stages, np.diag(values), strict=True))
        for key, values in arrays.items()
        if key.startswith("shifted/")
    }
