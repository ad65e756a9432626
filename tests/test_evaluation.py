"""Predictions: right columns, known confidence and margin, and nothing that depends on the batch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from robustness import models
from robustness.data.image_set import ImageSet
from robustness.evaluation import COLUMNS, evaluate

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def noise_images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """24 random test images of 8 objects in 2 classes, two thirds clean, one third turned."""
    generator = np.random.default_rng(1)
    rows = []
    with ImageSet.create(tmp_path_factory.mktemp("noise") / "set", 24, 32, ["a", "b"], masks=False) as writer:
        writer.images[:] = generator.integers(0, 256, writer.images.shape)
        for i in range(24):
            shift = ("clean", "none", "0") if i < 16 else ("pose", "azimuth", "90")
            rows.append(("test", "test", f"o{i % 8}", i % 2, *shift))
        table = pd.DataFrame(rows, columns=["split", "role", "object", "label", "shift", "factor", "level"])
        return writer.finish(table)


class MeanColour(nn.Module):
    """Logits: the mean of red and of blue, times a hundred."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 100 * x.mean((2, 3))[:, [0, 2]]


def test_columns_and_known_numbers(noise_images: ImageSet) -> None:
    rows = noise_images.rows(split="test")
    table = evaluate(MeanColour(), noise_images, rows, batch_size=5, seed=0, device=CPU)
    assert tuple(table.columns) == COLUMNS
    assert list(table["sample"]) == list(rows)
    red, _, blue = 100 * noise_images.batch([3]).mean((2, 3))[0].numpy()
    row = table.iloc[3]
    assert row["label"] == 1
    assert row["margin"] == pytest.approx(blue - red, abs=1e-4)
    assert row["prediction"] == int(blue > red)
    assert row["confidence"] == pytest.approx(1 / (1 + np.exp(-abs(blue - red))), abs=1e-5)
    assert list(table["shift"].unique()) == ["clean", "pose"]


def test_noise_belongs_to_the_image_not_to_the_batch(noise_images: ImageSet) -> None:
    spec = models.ModelSpec(
        "resnet18", "vone", "canonical", num_classes=2, image_size=32, seed=1, width=0.125
    )
    model = models.build(spec)
    rows = noise_images.rows(split="test")
    common = {"seed": 4, "device": CPU}
    whole = evaluate(model, noise_images, rows, batch_size=24, **common)
    parts = evaluate(model, noise_images, rows[::-1].copy(), batch_size=7, **common)
    parts = parts.sort_values("sample").reset_index(drop=True)
    np.testing.assert_allclose(whole["margin"], parts["margin"], atol=1e-4)
    other = evaluate(model, noise_images, rows, batch_size=24, seed=5, device=CPU)
    assert np.abs(whole["margin"] - other["margin"]).max() > 1e-3, "the noise is live"


def test_a_small_choice_takes_every_object_before_one_twice(noise_images: ImageSet) -> None:
    rows = noise_images.rows(split="test", shift="clean")
    chosen = noise_images.spread_over_objects(rows, 8, seed=0)
    samples = noise_images.samples.iloc[chosen]
    assert samples["object"].nunique() == 8
    assert list(
        np.bincount(noise_images.samples.iloc[noise_images.spread_over_objects(rows, 4, seed=0)]["label"])
    ) == [2, 2]
    assert set(noise_images.spread_over_objects(rows, 99, seed=0)) == set(rows)
    assert not np.array_equal(chosen, noise_images.spread_over_objects(rows, 8, seed=1))
