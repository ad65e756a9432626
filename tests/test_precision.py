"""A CPU works in float32 alone: shown as on a machine that has AVX2 and no unit of lower precision."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pipeline.settings import load
from robustness import models, training
from robustness.data.image_set import ImageSet

ROOT = Path(__file__).resolve().parents[1]
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_VERBOSE": "1"}
LOWER = re.compile(r"\b(bf16|f16|f8_\w+|s8|u8)\b")
SIZE, CLASSES = 64, ["dark", "light"]


class FullPrecision(TorchDispatchMode):
    """Refuses an operator that gives a tensor of lower precision."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for value in tree_leaves(out):
            if isinstance(value, torch.Tensor):
                assert value.dtype not in (torch.bfloat16, torch.float16), f"{function} gives {value.dtype}"
        return out


@pytest.mark.parametrize("settings", ["params.yaml", "profiles/gpu.yaml"])
def test_a_training_step_of_every_model_chooses_float32_kernels(settings: str, tmp_path: Path) -> None:
    """Also where the settings ask for bfloat16 on a GPU."""
    done = subprocess.run(
        [sys.executable, __file__, settings, str(tmp_path)],
        env=os.environ | AVX2 | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    trained = re.findall(r"^trained (\w+)$", done.stdout, re.MULTILINE)
    assert trained == list(load(("models",), path=ROOT / settings).models)
    kernels = [line for line in done.stdout.splitlines() if line.startswith("onednn") and ",exec," in line]
    assert len(kernels) > 10 * len(trained)
    assert any("avx2" in line for line in kernels)
    assert not any("avx512" in line or "amx" in line for line in kernels)
    assert [line for line in kernels if LOWER.search(line)] == []


def _two_images(folder: Path) -> ImageSet:
    rows = [("train", "canonical", name, label, "clean", "none", "0") for label, name in enumerate(CLASSES)]
    with ImageSet.create(folder, 2, SIZE, CLASSES, masks=False) as writer:
        for label in range(2):
            writer.images[label] = 50 + 150 * label
        return writer.finish(
            pd.DataFrame(rows, columns=["split", "role", "object", "label", "shift", "factor", "level"])
        )


def _train_every_model(settings: str, folder: Path) -> None:
    params = load(("training", "frontend", "models"), path=ROOT / settings)
    images = _two_images(folder / "set")
    rows = images.rows(split="train")
    for name, model in params.models.items():
        with FullPrecision():
            training.train(
                models.build(model.spec(len(CLASSES), SIZE, params.frontend, seed=1)),
                images,
                rows,
                rows,
                params.training.changed(model.recipe | {"epochs": 1, "batch_size": 2}),
                seed=1,
                device=torch.device("cpu"),
                resume=folder / f"{name}.pt",
            )
        print(f"trained {name}", flush=True)


if __name__ == "__main__":
    _train_every_model(sys.argv[1], Path(sys.argv[2]))
