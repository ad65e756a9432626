"""An image set on disk: memory-mapped images and masks, one table of samples, the class names."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from robustness.errors import UserError
from robustness.seeds import numpy_generator
from robustness.whole_files import whole

if TYPE_CHECKING:
    import torch

BACKGROUND, TARGET, DISTRACTOR = 0, 1, 2
"""The values of a mask: background, the labelled object, everything that clutters or hides it."""

COLUMNS = ("sample", "split", "role", "object", "label", "shift", "factor", "level")
"""The columns that every table of samples has; others are free."""

SPLITS = ("train", "validation", "test", "unknown")
"""``unknown``: objects of no class, of which a model should not be sure; their label is NO_CLASS."""

NO_CLASS = -1
ROLES = ("canonical", "diverse", "test")


def format_level(level: object) -> str:
    """The text of a level in every table: numbers as ``format(x, "g")``, anything else as it is.

    >>> format_level(30.0), format_level(0.5), format_level("noise")
    ('30', '0.5', 'noise')
    """
    is_number = isinstance(level, (int, float, np.integer, np.floating)) and not isinstance(level, bool)
    return format(level, "g") if is_number else str(level)


class ImageSet:
    """A folder of images with a table of samples, opened for reading.

    Files: ``images.npy`` uint8 (N, H, W, 3); ``masks.npy`` uint8 (N, H, W) with the values BACKGROUND, TARGET
    and DISTRACTOR (only where exact masks exist); ``samples.parquet``, row i for image i; ``classes.json``.
    """

    def __init__(
        self,
        folder: Path,
        images: np.ndarray,
        masks: np.ndarray | None,
        samples: pd.DataFrame,
        classes: list[str],
    ) -> None:
        self.folder = folder
        self.images = images
        self.masks = masks
        self.samples = samples
        self.classes = classes

    @classmethod
    def open(cls, folder: Path | str) -> ImageSet:
        """Open the image set in ``folder`` (nothing but the table is read).

        Raises UserError if a file is missing, damaged, or does not agree with the others.
        """
        folder = Path(folder)
        for name in ("images.npy", "samples.parquet", "classes.json"):
            if not (folder / name).is_file():
                raise UserError(f"image set {folder}: {name} is missing; make the set again")
        try:
            images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
            has_masks = (folder / "masks.npy").is_file()
            masks = np.load(folder / "masks.npy", mmap_mode="r", allow_pickle=False) if has_masks else None
            samples = pd.read_parquet(folder / "samples.parquet")
            classes = json.loads((folder / "classes.json").read_text("utf-8"))
        except (ValueError, OSError, EOFError) as error:
            raise UserError(f"image set {folder}: a file is damaged ({error}); make the set again") from error
        _check_samples(samples, images.shape, classes, str(folder))
        if masks is not None and masks.shape != images.shape[:3]:
            raise UserError(f"image set {folder}: masks {masks.shape} do not fit images {images.shape}")
        return cls(folder, images, masks, samples, classes)

    @staticmethod
    def create(
        folder: Path | str, n: int, image_size: int, classes: Sequence[str], *, masks: bool = True
    ) -> ImageSetWriter:
        """A writer for ``n`` square images; the folder appears, whole, when its ``finish`` is called."""
        return ImageSetWriter(Path(folder), n, image_size, list(classes), masks)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def image_size(self) -> int:
        """Height (= width) of the images in pixels."""
        return int(self.images.shape[1])

    def digest(self) -> str:
        """The SHA-256 of the pixels' file, in hexadecimal."""
        with (self.folder / "images.npy").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def rows(self, **equals: object) -> np.ndarray:
        """Row numbers (int64, ascending) of the samples whose columns have the given values.

        A value is one value or a list, tuple or set of allowed ones; levels may be given as numbers.
        Raises UserError for a column that the table does not have.
        """
        chosen = np.ones(len(self.samples), dtype=bool)
        for column, wanted in equals.items():
            if column not in self.samples.columns:
                raise UserError(
                    f"image set {self.folder}: no column {column!r}; has {', '.join(self.samples)}"
                )
            allowed = list(wanted) if isinstance(wanted, (list, tuple, set, frozenset)) else [wanted]
            if column == "level":
                allowed = [format_level(level) for level in allowed]
            chosen &= self.samples[column].isin(allowed).to_numpy()
        return np.flatnonzero(chosen)

    def spread_over_objects(self, rows: np.ndarray, count: int, *, seed: int) -> np.ndarray:
        """``count`` of ``rows`` (all if there are fewer), ascending, with as many objects as possible.

        They are drawn in rounds, in each of which an object gives at most one image; objects come in a seeded
        order that alternates between the classes, so that few images are balanced over classes and objects.
        """
        samples = self.samples.iloc[rows][["object", "label"]].assign(row=rows)
        generator = numpy_generator(seed, "spread over objects")
        samples = samples.iloc[generator.permutation(len(samples))]
        samples["round"] = samples.groupby("object").cumcount()
        first = samples.drop_duplicates("object")
        turn = first.groupby("label").cumcount().set_axis(first["object"].to_numpy())
        samples["turn"] = samples["object"].map(turn)
        ordered = samples.sort_values(["round", "turn", "label"], kind="stable")
        return np.sort(ordered["row"].to_numpy()[:count])

    def batch(self, rows: Iterable[int]) -> torch.Tensor:
        """The images of ``rows`` as float32 (N, 3, H, W) in [0, 1]."""
        import torch

        pixels = np.ascontiguousarray(self.images[np.asarray(rows)].transpose(0, 3, 1, 2))
        return torch.from_numpy(pixels).to(torch.float32).div_(255)

    def on(self, device: torch.device, rows: np.ndarray) -> Callable[[np.ndarray], torch.Tensor]:
        """:meth:`batch` with its result on ``device``, for any of ``rows``.

        A GPU keeps their bytes, so that only row numbers travel to it; on the CPU they stay on the disk.
        """
        import torch

        if device.type == "cpu":
            return self.batch
        place = np.full(len(self), -1)
        place[rows] = np.arange(len(rows))
        kept = torch.from_numpy(np.ascontiguousarray(self.images[rows])).to(device)

        def read(wanted: np.ndarray) -> torch.Tensor:
            return kept[torch.from_numpy(place[wanted]).to(device)].permute(0, 3, 1, 2).float() / 255

        return read

    def labels(self, rows: Iterable[int]) -> torch.Tensor:
        """The labels of ``rows`` as int64 (N,)."""
        import torch

        return torch.from_numpy(self.samples["label"].to_numpy(np.int64)[np.asarray(rows)])


class ImageSetWriter:
    """Writes an image set into a temporary folder beside its place; ``finish`` checks it and renames it.

    Use as a context manager: left without ``finish`` (an exception), the temporary folder is removed.
    """

    def __init__(self, folder: Path, n: int, image_size: int, classes: list[str], masks: bool) -> None:
        if n < 1:
            raise UserError(f"image set {folder}: no images to write")
        self.folder = folder
        self.classes = classes
        shape = (n, image_size, image_size)
        with ExitStack() as stack:
            self._temporary = stack.enter_context(whole(folder))
            self._temporary.mkdir()
            self.images = _mapped(self._temporary / "images.npy", (*shape, 3))
            self.masks = _mapped(self._temporary / "masks.npy", shape) if masks else None
            self._place = stack.pop_all()

    def __enter__(self) -> ImageSetWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)  # after ``finish`` it has another name
        self._place.__exit__(kind, error, trace)

    def add(self, name: str, text: str) -> None:
        """Put a text file, such as attributions, beside the images."""
        (self._temporary / name).write_text(text, "utf-8")

    def finish(self, samples: pd.DataFrame) -> ImageSet:
        """Write the table and the classes, put the folder in its place (an older one is replaced), open it.

        ``samples`` has a row for each image, in order, and ``COLUMNS`` at least (``sample`` is filled in).
        """
        samples = samples.reset_index(drop=True)
        if "sample" in samples:
            samples = samples.drop(columns="sample")
        samples.insert(0, "sample", np.arange(len(samples), dtype=np.int64))
        if "level" in samples:
            samples["level"] = [format_level(level) for level in samples["level"]]
        _check_samples(samples, self.images.shape, self.classes, str(self.folder))
        self.images.flush()
        if self.masks is not None:
            self.masks.flush()
        samples.to_parquet(self._temporary / "samples.parquet", index=False)
        (self._temporary / "classes.json").write_text(json.dumps(self.classes, indent=1) + "\n", "utf-8")
        self._place.close()
        return ImageSet.open(self.folder)


def _mapped(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """A new npy file of uint8, mapped for writing, its place on the disk taken at once.

    A mapped file is sparse: on a full disk, writing to it would end the process by a signal. Raises OSError.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _check_samples(samples: pd.DataFrame, shape: tuple[int, ...], classes: list[str], place: str) -> None:
    missing = [column for column in COLUMNS if column not in samples.columns]
    if missing:
        raise UserError(f"image set {place}: the table of samples lacks {', '.join(missing)}")
    if len(shape) != 4 or shape[3] != 3 or shape[0] != len(samples):
        raise UserError(f"image set {place}: images of shape {shape} do not fit {len(samples)} samples")
    for column, allowed in (("split", SPLITS), ("role", ROLES)):
        strange = set(samples[column]) - set(allowed)
        if strange:
            raise UserError(
                f"image set {place}: {column} {sorted(strange)[0]!r} is none of {', '.join(allowed)}"
            )
    if not len(samples):
        raise UserError(f"image set {place}: holds no images; make the set again")
    labels = samples["label"]
    if not pd.api.types.is_integer_dtype(labels):
        raise UserError(f"image set {place}: label must be whole numbers, not {labels.dtype}")
    labels = labels[~((samples["split"] == "unknown") & (labels == NO_CLASS))]
    if len(labels) and (labels.min() < 0 or labels.max() >= len(classes)):
        raise UserError(f"image set {place}: a label lies outside 0 to {len(classes) - 1}")
