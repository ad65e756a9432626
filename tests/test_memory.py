"""Evaluation streams: a set ten times larger takes no more memory, but for its table."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from robustness.data.image_set import ImageSet
from robustness.evaluation import ImageCondition, evaluate

SIZE, FEW, TIMES = 64, 60, 10
ONE_IMAGE = 3 * SIZE * SIZE  # bytes
CONDITIONS = [ImageCondition("corruption", "contrast", "3"), ImageCondition("clutter", "swap", "mixed_rand")]


class MeanColour(nn.Module):
    """Logits: the means of red and blue."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))[:, [0, 2]]


def image_set(folder: Path, count: int) -> ImageSet:
    """``count`` clean test images of random pixels, with masks."""
    generator = np.random.default_rng(0)
    with ImageSet.create(folder, count, SIZE, ["a", "b"]) as writer:
        for i in range(count):
            writer.images[i] = generator.integers(0, 256, (SIZE, SIZE, 3))
        writer.masks[:, 16:48, 16:48] = 1
        rows = [("test", "test", f"o{i % 8}", i % 2, "clean", "none", "0") for i in range(count)]
        columns = ["split", "role", "object", "label", "shift", "factor", "level"]
        return writer.finish(pd.DataFrame(rows, columns=columns))


def peak(images: ImageSet, conditions: list[ImageCondition]) -> int:
    """The most bytes that arrays and Python's objects took at once; mapped files do not count."""
    tracemalloc.start()
    try:
        rows = images.rows(split="test")
        evaluate(MeanColour(), images, rows, conditions, batch_size=10, seed=0, device=torch.device("cpu"))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("condition", [None, *CONDITIONS], ids=lambda c: c.factor if c else "as they are")
def test_a_set_ten_times_larger_takes_no_more_memory(
    condition: ImageCondition | None, tmp_path: Path
) -> None:
    conditions = [condition] if condition else []
    few, many = image_set(tmp_path / "few", FEW), image_set(tmp_path / "many", TIMES * FEW)
    peak(few, conditions)  # what is imported and kept at the first use
    small, large = peak(few, conditions), peak(many, conditions)
    assert small > 10 * ONE_IMAGE, "the images of a batch are seen by the measure"
    assert large < small + TIMES * FEW * ONE_IMAGE / 10
