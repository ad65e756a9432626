"""Damaged or foreign checkpoints: refused, and nothing in them is executed."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from spoiling import Bomb, Case, Spoil, cut, met, remove, write

WEIGHTS = Path("data/models/plain/weights.safetensors")


def header(change: Callable[[dict], object]) -> Spoil:
    """The same weights under another header."""

    def spoil() -> None:
        from safetensors import safe_open

        with safe_open(str(WEIGHTS), framework="pt") as handle:
            ((key, text),) = handle.metadata().items()
        state = load_file(str(WEIGHTS))
        save_file(state, str(WEIGHTS), metadata={key: json.dumps(change(json.loads(text)))})

    return spoil


def weights(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Spoil:
    def spoil() -> None:
        from safetensors import safe_open

        with safe_open(str(WEIGHTS), framework="pt") as handle:
            metadata = handle.metadata()
        save_file(change(load_file(str(WEIGHTS))), str(WEIGHTS), metadata=metadata)

    return spoil


def zipped(name: str, content: bytes | str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


DAMAGED: dict[str, Case] = {
    "no checkpoint": (
        remove(WEIGHTS),
        "evaluate",
        (str(WEIGHTS), "no such checkpoint", "run the train stage"),
    ),
    "checkpoint cut short": (cut(WEIGHTS), "evaluate", (str(WEIGHTS), "train the model again")),
    "empty checkpoint": (write(WEIGHTS, b""), "attack", (str(WEIGHTS), "train the model again")),
    "pickled code": (
        write(WEIGHTS, pickle.dumps(Bomb())),
        "probe",
        (str(WEIGHTS), "not a readable safetensors"),
    ),
    "pickled code in a zip": (
        write(WEIGHTS, zipped("archive/data.pkl", pickle.dumps(Bomb()))),
        "attack",
        (str(WEIGHTS), "safetensors"),
    ),
    "checkpoint of another project": (
        lambda: save_file({"a": torch.zeros(1)}, str(WEIGHTS)),
        "evaluate",
        (str(WEIGHTS), "this project"),
    ),
    "header without a model": (
        header(lambda h: {}),
        "evaluate",
        (str(WEIGHTS), "header", "train the model again"),
    ),
    "header of another kind": (
        header(lambda h: [1]),
        "collate",
        (str(WEIGHTS), "header", "train the model again"),
    ),
    "wrong shapes": (
        weights(lambda s: {k: v.reshape(-1) for k, v in s.items()}),
        "evaluate",
        (str(WEIGHTS), "do not fit lenet5"),
    ),
    "weights missing": (
        weights(lambda s: dict(list(s.items())[1:])),
        "attack",
        (str(WEIGHTS), "do not fit lenet5"),
    ),
    "weights that are no numbers": (
        weights(lambda s: {k: v * float("nan") for k, v in s.items()}),
        "attack",
        ("NaN",),
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged(case: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    met(DAMAGED[case], capsys)
