"""``make export`` packs a run's models, and ``checkpoint:`` takes one into another run as it was."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import torch
from tiny_run import PARAMS, run_stage, write_params

from pipeline import export, files, inputs
from robustness import models
from robustness.errors import UserError
from robustness.weights.reading import digest

VONE = {"family": "lenet", "architecture": "lenet5", "frontend": "vone"}
DIGITS = PARAMS["data"] | {"set": "digits", "render": {}}


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of one model, packed; the current folder is another run's."""
    first, second = tmp_path / "first", tmp_path / "second"
    for place in (first, second):
        place.mkdir()
    monkeypatch.chdir(first)
    write_params(first, PARAMS | {"data": DIGITS, "models": {"lenet_vone": VONE}})
    run_stage("render")
    run_stage("train", "lenet_vone")
    with pytest.raises(UserError, match="finish the run"):
        export.export()
    for end in (".md", ".json"):
        card = files.REPORTS / "cards" / f"lenet_vone{end}"
        card.parent.mkdir(parents=True, exist_ok=True)
        card.write_text("{}")
    export.export()
    monkeypatch.chdir(second)
    with zipfile.ZipFile(first / export.PACK) as pack:
        pack.extractall(second)
    return second


def taken(folder: Path, **model: object) -> models.Classifier:
    """The model of the pack, as the run in the folder has it."""
    weights = f"checkpoint:{folder / 'export' / 'lenet_vone.safetensors'}"
    write_params(folder, PARAMS | {"data": DIGITS, "models": {"again": {"weights": weights, **model}}})
    if not files.IMAGES.exists():
        run_stage("render")
    run_stage("train", "again")
    return inputs.load_model("again")


def test_the_model_is_the_same_in_another_run(packed: Path) -> None:
    before = models.load(packed.parent / "first" / files.weights("lenet_vone"))
    listed = json.loads((packed / "export" / "models.json").read_text())
    model = taken(packed, sha256=listed["lenet_vone.safetensors"])
    assert model.spec == before.spec
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), model.parameters(), strict=True))
    assert not len(pd.read_parquet(files.MODELS / "again" / "history.parquet"))
    run_stage("evaluate", "again")


def test_what_does_not_fit_is_one_line(packed: Path) -> None:
    with pytest.raises(UserError, match=r"SHA-256 is \w+, not 0000"):
        taken(packed, sha256="0" * 64)
    with pytest.raises(UserError, match="frontend: a checkpoint is used as it is"):
        taken(packed, frontend="vone")
    path = packed / "export" / "lenet_vone.safetensors"
    assert digest(path) == digest(packed.parent / "first" / files.weights("lenet_vone"))
    spec, _ = models.read_header(path)
    small = models.build(models.ModelSpec(**{**vars(spec), "num_classes": 3}))
    models.save(small, path, {"recipe": {"epochs": 0}, "images": 0})
    with pytest.raises(UserError, match="a set of 3 classes, this one has 10"):
        taken(packed)
