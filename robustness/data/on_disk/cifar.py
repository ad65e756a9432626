"""CIFAR-10 (binary version) and CIFAR-10-C."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from robustness.data.on_disk.imagenet import CORRUPTIONS
from robustness.data.on_disk.listing import Joined, Listing, need_folder
from robustness.data.on_disk.registry import register
from robustness.errors import UserError
from robustness.seeds import numpy_generator

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORD = 1 + 3 * 32 * 32
WHAT = (
    "CIFAR-10's binary version has data_batch_1.bin to data_batch_5.bin and test_batch.bin; the Python "
    "version would run code when it is read"
)
HELD_OUT = 0.1
_LICENCE = "CIFAR-10: Krizhevsky 2009, for research; no licence is stated."


def _image(record: np.ndarray) -> np.ndarray:
    """(32, 32, 3) uint8 of a binary record (label, then the three colour planes) or of an image as it is."""
    return record[1:].reshape(3, 32, 32).transpose(1, 2, 0) if record.ndim == 1 else record


@register("cifar10", trains=True)
def cifar10(path: Path, seed: int = 0, **options: object) -> Listing:
    """Training and test images; a tenth of the training images, drawn by ``seed``, is for validation."""
    root = need_folder(path, WHAT)
    trained = [_records(root / f"data_batch_{number}.bin") for number in range(1, 6)]
    parts = [*trained, _records(root / "test_batch.bin")]
    labels = np.concatenate([part[:, 0] for part in parts]).astype(np.int64)
    count = sum(map(len, trained))
    splits = np.where(np.arange(len(labels)) < count, "train", "test").astype(object)
    splits[numpy_generator(seed, "cifar10 validation").permutation(count)[: round(HELD_OUT * count)]] = (
        "validation"
    )
    samples = _table(labels, np.arange(len(labels)), splits, "clean", "none", "0", "image")
    return Listing(list(CLASSES), samples, "Answers among the ten classes.", _LICENCE, fit="squash",
                   array=Joined(parts, 4, _image))  # fmt: skip


@register("cifar10_c", trains=True)
def cifar10_c(path: Path, reference: Path | None = None, **options: object) -> Listing:
    """CIFAR-10-C (Hendrycks and Dietterich 2019): <corruption>.npy and labels.npy, severities 1 to 5 in turn.

    ``reference``, the folder of CIFAR-10, gives the training images and the clean ones: test image i is one
    object under all corruptions.
    """
    root = need_folder(path, "CIFAR-10-C has labels.npy and a file <corruption>.npy each")
    labels = _array(root / "labels.npy", 1)
    if len(labels) % 5 or not np.array_equal(labels, np.tile(labels[: len(labels) // 5], 5)):
        raise UserError(f"data.path: {root}/labels.npy does not repeat one order of labels five times")
    count = len(labels) // 5
    parts: list[np.ndarray] = []
    tables, offset = [], 0
    if reference:
        base = cifar10(reference, **options)
        clean = base.samples[base.samples["split"] == "test"]
        if not np.array_equal(clean["label"].to_numpy(), labels[:count]):
            raise UserError(
                f"data.reference: {reference}: its test labels are not those of {root}/labels.npy"
            )
        first = int(clean["row"].iloc[0])
        names = [f"test{row - first}" if row >= first else name
                 for row, name in zip(base.samples["row"], base.samples["object"], strict=True)]  # fmt: skip
        tables.append(base.samples.assign(object=names))
        parts += base.array.arrays
        offset = len(base.samples)
    present = [name for name in CORRUPTIONS if (root / f"{name}.npy").is_file()]
    for name in present:
        pixels = _array(root / f"{name}.npy", 4)
        if pixels.shape != (len(labels), 32, 32, 3) or pixels.dtype != np.uint8:
            raise UserError(f"data.path: {root}/{name}.npy is {pixels.dtype} {pixels.shape}, not "
                            f"uint8 ({len(labels)}, 32, 32, 3)")  # fmt: skip
        for severity in range(5):
            own = np.arange(count)
            part = _table(labels[:count].astype(np.int64), offset + severity * count + own, "test",
                          "corruption", name, str(severity + 1), "test")  # fmt: skip
            tables.append(part.assign(object=[f"test{number}" for number in own]))
        parts.append(pixels)
        offset += len(pixels)
    if not present:
        raise UserError(f"data.path: {root} holds no corruption such as gaussian_noise.npy")
    missing = [name for name in CORRUPTIONS[:15] if name not in present]
    notes = [f"missing: {', '.join(missing)}"] if missing else []
    if not reference:
        notes.append("no clean images: set data.reference to the folder of CIFAR-10")
    return Listing(list(CLASSES), pd.concat(tables, ignore_index=True), "Answers among the ten classes.",
                   "CIFAR-10-C: CC BY 4.0. " + _LICENCE, fit="squash", array=Joined(parts, 4, _image),
                   notes=notes)  # fmt: skip


def _table(labels, row, split, shift: str, factor: str, level: str, name: str) -> pd.DataFrame:
    role = np.where(np.asarray(split) == "test", "test", "canonical")
    return pd.DataFrame(
        {"split": split, "role": role, "object": [f"{name}{number}" for number in row], "label": labels,
         "shift": shift, "factor": factor, "level": level, "row": row}
    )  # fmt: skip


def _records(path: Path) -> np.ndarray:
    if not path.is_file():
        raise UserError(f"data.path: {path} is missing; {WHAT}")
    size = path.stat().st_size
    if size == 0 or size % RECORD:
        raise UserError(f"data.path: {path} is damaged ({size} bytes are no whole number of images)")
    records = np.memmap(path, np.uint8, mode="r").reshape(-1, RECORD)
    if records[:, 0].max() > 9:
        raise UserError(f"data.path: {path}: a label is above 9; is it CIFAR-100?")
    return records


def _array(path: Path, dimensions: int) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"data.path: {path} cannot be read ({error})") from error
    if found.ndim != dimensions:
        raise UserError(f"data.path: {path} has {found.ndim} dimensions, not {dimensions}")
    return found
