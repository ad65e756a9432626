"""CIFAR-10, in three forms, and CIFAR-10-C."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from robustness.data.on_disk import image_folder
from robustness.data.on_disk.imagenet import CORRUPTIONS
from robustness.data.on_disk.listing import Joined, Listing, hold_out, need_folder
from robustness.data.on_disk.registry import register
from robustness.errors import UserError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORD = 1 + 3 * 32 * 32
PYTHON, ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"
WHAT = (
    "CIFAR-10 is its binary version (data_batch_1.bin to test_batch.bin), torchvision's download "
    f"({PYTHON}/) or class folders (train/airplane/ to test/truck/)"
)
_LICENCE = "CIFAR-10: Krizhevsky 2009, for research; no licence is stated."


def _image(record: np.ndarray) -> np.ndarray:
    """(32, 32, 3) uint8 of a binary record (label, then the three colour planes) or of an image as it is."""
    return record[1:].reshape(3, 32, 32).transpose(1, 2, 0) if record.ndim == 1 else record


@register("cifar10", trains=True)
def cifar10(path: Path, seed: int = 0, **options: object) -> Listing:
    """Training and test images; a tenth of the training images, drawn by ``seed``, is for validation.

    The folder holds the binary version, torchvision's download or class folders; one that does not exist is
    filled by torchvision's download. Raises UserError that names the three where none of them is there.
    """
    if not path.exists() or {file.name for file in path.iterdir()} <= {ARCHIVE}:  # or it was interrupted
        _download(path)
    root = need_folder(path, WHAT)
    if (root / "train").is_dir():
        return _class_folders(root, seed)
    if (root / PYTHON).is_dir():
        parts, labels, count = _python_version(root)
    elif (root / "data_batch_1.bin").is_file():
        trained = [_records(root / f"data_batch_{number}.bin") for number in range(1, 6)]
        parts = [*trained, _records(root / "test_batch.bin")]
        labels, count = np.concatenate([part[:, 0] for part in parts]), sum(map(len, trained))
    else:
        raise UserError(f"data.path: {root} does not hold CIFAR-10; {WHAT}")
    splits = np.where(np.arange(len(labels)) < count, "train", "test").astype(object)
    samples = _table(labels.astype(np.int64), np.arange(len(labels)), splits, "clean", "none", "0", "image")
    return Listing(list(CLASSES), hold_out(samples, seed), "Answers among the ten classes.",
                   _LICENCE, fit="squash", array=Joined(parts, 4, _image))  # fmt: skip


def _download(folder: Path) -> None:
    """Let torchvision fetch CIFAR-10; UserError that says what else there is where it cannot."""
    from torchvision.datasets import CIFAR10

    print(f"{folder} does not exist; torchvision downloads CIFAR-10 into it", flush=True)
    try:
        CIFAR10(str(folder), download=True)
    except (OSError, RuntimeError) as error:  # URLError is an OSError; RuntimeError: another file came
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise UserError(
            f"data.path: {folder} is missing and cannot be downloaded ({error}); {WHAT}"
        ) from error


def _python_version(root: Path) -> tuple[list[np.ndarray], np.ndarray, int]:
    """Images, labels, and how many are for training. torchvision unpickles only files of known MD5 sums."""
    from torchvision.datasets import CIFAR10

    try:
        found = [CIFAR10(str(root), train=train) for train in (True, False)]
    except RuntimeError as error:
        raise UserError(f"data.path: {root / PYTHON} is damaged; {WHAT}") from error
    parts = [part.data for part in found]
    return parts, np.concatenate([part.targets for part in found]), len(parts[0])


def _class_folders(root: Path, seed: int) -> Listing:
    found = image_folder.listing(root, seed)
    if tuple(found.classes) != CLASSES or set(found.samples["split"]) != {"train", "validation", "test"}:
        raise UserError(f"data.path: {root} does not hold the ten classes in train/ and test/; {WHAT}")
    return replace(found, policy="Answers among the ten classes.", licence=_LICENCE, fit="squash")


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
        if base.array is None:
            raise UserError(
                f"data.reference: {reference} holds class folders; use CIFAR-10's binary version or "
                "torchvision's download"
            )
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
