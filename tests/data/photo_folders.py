"""Tiny sets in the exact form in which the real ones lie on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image


def photo(path: Path, colour: tuple[int, int, int] = (200, 40, 90), size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def objectnet(root: Path) -> Path:
    """Three classes: the folders' order differs from that of the display labels; one is not shared."""
    for folder in ("air_freshener", "band_aid", "t_shirt"):
        path = photo(root / "images" / folder / "0a.png")
        image = np.full((34, 44, 3), 128, np.uint8)
        image[:2] = image[-2:] = (255, 0, 0)
        image[:, :2] = image[:, -2:] = (255, 0, 0)
        Image.fromarray(image).save(path)
    mappings = root / "mappings"
    mappings.mkdir()
    content = {
        "folder_to_objectnet_label": {
            "air_freshener": "Zebra spray",
            "band_aid": "Band Aid",
            "t_shirt": "T-shirt",
        },
        "objectnet_to_imagenet_1k": {"Band Aid": "Band Aid", "T-shirt": "jersey, T-shirt; polo"},
        # By the sorted display labels: 0 Band Aid, 1 T-shirt, 2 Zebra spray.
        "imagenet_pytorch_id_to_objectnet_id": {"419": 0, "610": 1, "611": 1},
    }  # fmt: skip
    for name, mapping in content.items():
        (mappings / f"{name}.json").write_text(json.dumps(mapping))
    return root


def matrix(path: Path, values: np.ndarray) -> None:
    """A file of smallNORB: magic, dimensions, at least three sizes, values; all little-endian."""
    magic = {"uint8": 0x1E3D4C55, "int32": 0x1E3D4C54}[str(values.dtype)]
    sizes = [*values.shape, *[1] * (3 - values.ndim)]
    path.write_bytes(np.array([magic, values.ndim, *sizes], "<i4").tobytes() + values.tobytes())


def smallnorb(root: Path) -> Path:
    from robustness.data.on_disk.smallnorb import STEMS

    root.mkdir(parents=True, exist_ok=True)
    views = [(kind, view) for kind in range(5) for view in range(0, 36, 2)]
    for stem, first in ((STEMS["train"], 4), (STEMS["test"], 0)):
        pixels = np.zeros((len(views), 2, 96, 96), np.uint8)
        for row, (kind, view) in enumerate(views):
            pixels[row, 0], pixels[row, 1] = 10 * kind + view, 255  # the right camera must not be used
        info = np.array([[first, 3, view, 5] for _, view in views], np.int32)
        matrix(root / f"{stem}-dat.mat", pixels)
        matrix(root / f"{stem}-cat.mat", np.array([kind for kind, _ in views], np.int32))
        matrix(root / f"{stem}-info.mat", info)
    return root


def cifar10(root: Path, each: int = 20) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    for name in names:
        records = np.zeros((each, 3073), np.uint8)
        records[:, 0] = np.arange(each) % 10
        records[:, 1:1025] = 255  # the red plane comes first
        (root / name).write_bytes(records.tobytes())
    return root


def cifar10_c(root: Path, count: int = 20) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    np.save(root / "labels.npy", np.tile(np.arange(count) % 10, 5))
    severities = np.repeat(np.arange(1, 6, dtype=np.uint8), count)
    np.save(root / "fog.npy", np.broadcast_to(severities[:, None, None, None], (5 * count, 32, 32, 3)).copy())
    return root
