"""Whether reading images keeps up with a ResNet-18 of full width at 64 pixels that trains and evaluates.

``python -m benchmarks.loading_speed [--threads N] [--rounds N] [--device auto]``; a minute on two cores. In
turns: a batch from the memory-mapped image set, varied as in training, against a training step on it, and
against torchvision's loader of the same folder; a plain batch against a forward pass; decoding JPEGs, as
reading a folder into an image set does once, against a training step. What counts are medians of ratios
within one run: above 1, the network, or the other loader, is what takes the time.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.timing import Row, ratio, write_record
from robustness import models
from robustness.augmentation import Augmentation
from robustness.data import on_disk
from robustness.data.on_disk.decoding import read
from robustness.devices import resolve

SIZE, BATCH, EACH, CLASSES = 64, 64, 64, 4
STORED = (375, 500)  # height and width in pixels, the commonest of ImageNet's photographs


def jpeg_folder(root: Path) -> Path:
    """Smooth random images as JPEG of quality 90, a folder a class."""
    generator = np.random.default_rng(0)
    for number in range(CLASSES * EACH):
        coarse = generator.integers(0, 255, (24, 32, 3), dtype=np.uint8)
        place = root / "train" / f"k{number % CLASSES}" / f"{number}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize(STORED[::-1], Image.Resampling.BICUBIC).save(place, quality=90)
    return root


def torchvision_batch(folder: Path) -> Callable[[], object]:
    """Loads a batch as a torchvision user would: from the files each time, varied with its transforms."""
    transform = v2.Compose(
        [
            v2.ToImage(),
            v2.RandomResizedCrop(SIZE, antialias=True),
            v2.ColorJitter(0.3, 0.3),
            v2.RandomGrayscale(0.1),
            v2.ToDtype(torch.float32, scale=True),
            v2.RandomErasing(0.25),
        ]
    )
    images = ImageFolder(str(folder), transform)
    return lambda: torch.stack([images[number][0] for number in range(BATCH)])


def main() -> None:
    """Measure, print, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = resolve(options.device)
    with tempfile.TemporaryDirectory() as temporary:
        root = jpeg_folder(Path(temporary) / "folder")
        files = sorted(root.rglob("*.jpg"))
        images = on_disk.build("image_folder", Path(temporary) / "set", path=root, image_size=SIZE)
        spec = models.ModelSpec("resnet18", "learned", "canonical", CLASSES, SIZE, seed=0)
        model = models.build(spec).to(device, memory_format=torch.channels_last)
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
        rows = np.random.default_rng(1).permutation(len(images))[:BATCH]
        vary = Augmentation(
            translate_pixels=4, scale_jitter=0.3, color_jitter=0.3, grayscale=0.1, random_erasing=0.25
        )
        x, y = (
            images.batch(rows).to(device, memory_format=torch.channels_last),
            images.labels(rows).to(device),
        )

        def step() -> None:
            model.train()
            optimiser.zero_grad(set_to_none=True)
            functional.cross_entropy(model(x), y).backward()
            optimiser.step()

        @torch.inference_mode()
        def forward() -> None:
            model.eval()
            model(x)

        def batch() -> None:
            images.batch(rows).to(device, memory_format=torch.channels_last)

        def varied() -> None:
            vary(images.batch(rows), torch.Generator().manual_seed(0)).to(device)

        def decode() -> None:
            for file in files[:BATCH]:
                read(file, size=SIZE, fit="crop", border=0)

        theirs = torchvision_batch(root / "train")
        pairs: dict[tuple[str, str, str], tuple[Callable[[], object], Callable[[], object]]] = {
            ("a batch varied as in training", "training step of a ResNet-18", "≥ 1"): (step, varied),
            ("a batch", "forward pass of a ResNet-18", "≥ 1"): (forward, batch),
            ("decoding a batch of JPEGs", "training step of a ResNet-18", ""): (step, decode),
            ("a batch varied as in training", "torchvision's ImageFolder", ""): (
                theirs,
                varied,
            ),
        }
        measured = []
        for (what, against, asked), (slow, fast) in pairs.items():
            measured.append(
                Row(what, f"{BATCH} images", against, ratio(slow, fast, device, options.rounds), asked)
            )
            print(measured[-1], flush=True)
    write_record("loading_speed", device, measured, threads=options.threads, batch=BATCH)


if __name__ == "__main__":
    main()
