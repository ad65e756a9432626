"""The inputs of a report from what was measured without a run: tables of a few models on one image set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from robustness import scores
from robustness.data.image_set import ImageSet
from robustness.errors import UserError
from robustness.probes.result import ProbeResult
from robustness.report.gathering import data_card, environment
from robustness.report.inputs import ReportInputs, no_rows
from robustness.report.pictures import keep_probe


def inputs_of(
    results: Sequence[pd.DataFrame | ProbeResult],
    images: ImageSet,
    arrays: Path,
    *,
    name: str,
    seed: int,
    resamples: int,
) -> ReportInputs:
    """``results``: tables ``predictions`` and ``attacks`` and results of probes, each with its ``model``.

    The probes' arrays and pictures are put into the folder ``arrays``; ``name`` is that of the image set.
    What was not measured has no rows. Raises UserError without predictions, for an unknown table, and for
    two of a kind of one model.
    """
    found: dict[str, list[pd.DataFrame]] = {"predictions": [], "attacks": [], "probes": []}
    for result in results:
        table = result.table if isinstance(result, ProbeResult) else result
        found[_kind(table)].append(table)
        if isinstance(result, ProbeResult):
            _keep(result, arrays, images.classes)
    if not found["predictions"]:
        raise UserError("write_report: lacks what evaluate returned; every report begins with it")
    for kind in ("predictions", "attacks"):
        names = [each for table in found[kind] for each in table["model"].unique()]
        for twice in {each for each in names if names.count(each) > 1}:
            raise UserError(f"write_report: two tables of {kind} are of {twice!r}; give each model its name")
    tables = {kind: scores.joined(parts or [no_rows(kind)]) for kind, parts in found.items()}
    models = sorted(
        {*tables["predictions"]["model"], *tables["attacks"]["model"], *tables["probes"]["model"]}
    )
    for model in models:  # of a run it holds adversarial images
        (arrays / model / "attack").mkdir(parents=True, exist_ok=True)
        np.savez(arrays / model / "attack" / "images.npz")
    return ReportInputs(
        params={
            "seed": seed,
            "statistics": {"resamples": resamples},
            "data": {"set": name, "image_size": images.image_size},
            "models": {model: {"architecture": model} for model in models},
        },
        **tables,
        **{kind: no_rows(kind) for kind in ("models", "checks", "histories")},
        scores=_scores(tables, images, {"seed": seed, "resamples": resamples}),
        data=data_card(name, images, ""),
        pictures={model: arrays / model for model in models},
        environment=environment(),
    )


def _kind(table: pd.DataFrame) -> str:
    for kind, column in (("attacks", "epsilon"), ("predictions", "prediction"), ("probes", "probe")):
        if column in table.columns:
            return kind
    raise UserError("write_report: takes what evaluate, attack and probe returned")


def _scores(tables: dict[str, pd.DataFrame], images: ImageSet, how: dict[str, int]) -> pd.DataFrame:
    predictions = tables["predictions"]
    parts = [
        scores.from_predictions(predictions, classes=len(images.classes), samples=images.samples, **how),
        scores.from_confidences(predictions, **how),
    ]
    for kind, of_kind in (("attacks", scores.from_attacks), ("probes", scores.from_probes)):
        if len(tables[kind]):
            parts.append(of_kind(tables[kind], **how))
    return pd.concat(parts, ignore_index=True)


def _keep(result: ProbeResult, arrays: Path, classes: Sequence[str]) -> None:
    (model,) = result.table["model"].unique()
    folder = arrays / model / "probe"
    folder.mkdir(parents=True, exist_ok=True)
    keep_probe(result.probe, result.arrays, folder, classes)
