"""The measurements as functions on a model and images, without DVC, params.yaml or folders.

``import robustness as rb``, then ``rb.open_set``, ``rb.load_model``, ``rb.evaluate``, ``rb.attack``,
``rb.probe``, ``rb.score``, ``rb.write_report``: what the stages do with a run's settings, with defaults for
one's own work. Results are DataFrames with the columns that the report reads, so that tables of several
models can be joined.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from robustness import attacks, frontends, probes, scores, weights
from robustness.attacks.suites import ladder
from robustness.data import digits, on_disk
from robustness.data.image_set import ImageSet
from robustness.devices import resolve
from robustness.errors import UserError
from robustness.evaluation import EvaluationSettings
from robustness.evaluation import evaluate as classify
from robustness.probes.result import ProbeResult


def open_set(
    name: str,
    path: str | Path | None = None,
    *,
    image_size: int,
    folder: str | Path | None = None,
    workers: int = 1,
    seed: int = 0,
) -> ImageSet:
    """An image set: ``digits``, ``mnist``, or one of ``on_disk.DATA_SETS`` (``cifar10``, …) in ``path``.

    It is read once into ``folder`` (None: a temporary folder, removed when Python ends), square, of
    ``image_size`` pixels; if ``folder`` holds it already, it is opened. Raises UserError, one line.
    """
    if folder is None:
        kept = tempfile.TemporaryDirectory(prefix="robustness-")
        place = Path(kept.name) / "images"
    else:
        kept, place = None, Path(folder)
    if not (place / "images.npy").is_file():
        if name in digits.SOURCES:
            digits.build_digits(place, source=name, image_size=image_size, seed=seed)
        else:
            given = None if path is None else Path(path).expanduser()
            on_disk.build(name, place, path=given, image_size=image_size, workers=workers, seed=seed)
    images = ImageSet.open(place)
    images.kept = kept  # the temporary folder lives as long as the set
    return images


def load_model(
    model: str | Path | nn.Module,
    images: ImageSet,
    *,
    architecture: str | None = None,
    sha256: str | None = None,
    builder: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A classifier of images (N, 3, S, S) in [0, 1] of that set, to logits (N, classes of the set).

    ``model``: weights by name (``timm:…``, ``torchvision:…``, ``package:…``, ``file:…`` with
    ``architecture``, ``python:<module>:<callable>``), a checkpoint of a run (``….safetensors``), or a
    network, which is used as it is. ``builder`` (``weights.user_network.Builder``): input size,
    normalisation and stages of a network of one's own. Raises UserError, one line, for what cannot be
    loaded or does not fit the set.
    """
    groups = on_disk.class_groups(images)
    fits = {"image_size": images.image_size, "num_classes": len(images.classes), "groups": groups}
    if isinstance(model, nn.Module):
        return weights.around(model, builder=dict(builder or {}), **fits)
    if str(model).endswith(".safetensors") and not str(model).startswith("file:"):
        loaded = weights.load(Path(model).expanduser())
        weights.check_fits(loaded.spec, images.image_size, len(images.classes), str(model))
        return loaded
    source = weights.parse(str(model), sha256)
    return weights.build(source, architecture=architecture, builder=builder and dict(builder), **fits)


def evaluate(
    model: nn.Module,
    images: ImageSet,
    conditions: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
    *,
    name: str = "model",
    count: int | None = None,
    batch_size: int = 128,
    seed: int = 0,
    device: str = "auto",
) -> pd.DataFrame:
    """The table ``predictions``: a row per test image and condition (columns: ``evaluation.evaluate``).

    ``conditions``: shift → factor → levels, made from the clean images, as ``{"corruption": {"fog": [3]}}``;
    from ``count`` of these (None: all). Raises UserError for an unknown one.
    """
    settings = EvaluationSettings.read(
        {"batch_size": batch_size, "images": count, "conditions": dict(conditions or {})}
    )
    table = classify(
        model,
        images,
        images.rows(split="test"),
        settings.image_conditions(),
        count=settings.images,
        batch_size=settings.batch_size,
        seed=seed,
        device=resolve(device),
    )
    table.insert(0, "model", name)
    return table


def attack(
    model: nn.Module,
    images: ImageSet,
    epsilons: Sequence[float] = (1.0, 2.0, 4.0),
    *,
    norm: str = "linf",
    suite: str = "standard",
    rungs: int | None = None,
    count: int = 100,
    name: str = "model",
    batch_size: int = 128,
    seed: int = 0,
    device: str = "auto",
) -> pd.DataFrame:
    """The table ``attacks``: what stands at every ε, image by image (columns: ``attacks.evaluation.attack``).

    ``epsilons``: in 255ths for L∞, in units of images in [0, 1] for L2 and L1. ``count`` clean test images,
    spread over objects. A model with noise is attacked by ``stochastic`` in the place of ``standard``, its
    gradients averaged over 10 draws. Raises UserError for an unknown norm or suite and an ε below 0.
    """
    rows = images.spread_over_objects(images.rows(split="test", shift="clean"), count, seed=seed)
    outcome = attacks.attack(
        model.eval(),
        images.batch(rows),
        images.labels(rows),
        ladder(suite, norm, rungs, noisy=frontends.is_stochastic(model), classes=len(images.classes)),
        [epsilon / 255 if norm == "linf" else epsilon for epsilon in epsilons],
        attacks.Setup(norm=norm, batch_size=batch_size, seed=seed),
        samples=rows,
        objects=images.samples["object"].to_numpy()[rows],
        name=name,
        device=resolve(device),
    )
    return outcome.table


def probe(
    model: nn.Module,
    images: ImageSet,
    probe: str,
    *,
    images_seen: int = 100,
    name: str = "model",
    seed: int = 0,
    device: str = "auto",
    **settings: Any,
) -> ProbeResult:
    """One probe by name, on ``images_seen`` clean test images: its table, and arrays for its pictures.

    ``settings`` are those of the probe (``probes.get(name).settings``). Raises UserError for an unknown
    probe or setting.
    """
    rows = images.spread_over_objects(images.rows(split="test", shift="clean"), images_seen, seed=seed)
    where = resolve(device)
    found = probes.run(
        probe,
        model.eval().to(where),
        images.batch(rows).to(where),
        images.labels(rows),
        seed=seed,
        **settings,
    )
    return ProbeResult(found.probe, found.table.assign(model=name), found.arrays)


def score(table: pd.DataFrame, images: ImageSet, *, seed: int = 0, resamples: int = 1000) -> pd.DataFrame:
    """Scores (model, metric, value, low, high, n) of the table ``predictions`` or ``attacks``.

    The intervals (95 %) are a bootstrap over objects. Raises UserError for any other table.
    """
    if {"epsilon", "right"} <= set(table.columns):
        return scores.from_attacks(table, seed=seed, resamples=resamples)
    if "prediction" not in table.columns:
        raise UserError("score: takes the table of evaluate or of attack")
    return scores.from_predictions(
        table, classes=len(images.classes), seed=seed, resamples=resamples, samples=images.samples
    )


def write_report(
    folder: str | Path,
    images: ImageSet,
    *results: pd.DataFrame | ProbeResult,
    set_name: str = "own images",
    seed: int = 0,
    resamples: int = 1000,
) -> None:
    """The report of a run on what was measured here: ``robustness.pdf``, ``robustness.html``, ``index.html``
    (the leaderboard), ``cards`` and ``figures`` in ``folder``, whose files of these names are replaced.

    ``results``: what ``evaluate``, ``attack`` and ``probe`` returned, of models with different ``name``. A
    question for which nothing was measured says so; the attacks' checks are made in runs alone. Raises
    UserError without a table of ``evaluate``, or for two of one model.
    """
    from robustness.report import build, measured

    with tempfile.TemporaryDirectory(prefix="robustness-") as arrays:
        inputs = measured.inputs_of(
            results, images, Path(arrays), name=set_name, seed=seed, resamples=resamples
        )
        Path(folder).mkdir(parents=True, exist_ok=True)
        build.write_report(inputs, Path(folder))
