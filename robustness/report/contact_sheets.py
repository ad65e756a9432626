"""What the data look like: test objects by class, the training sets, and every factor level by level."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robustness.report.image_grid import image_grid, save_png, to_bytes
from robustness.report.inputs import Sheet
from robustness.scores.conditions import view
from robustness.seeds import numpy_generator

if TYPE_CHECKING:
    import pandas as pd

    from robustness.data.image_set import ImageSet

PER_CLASS = 14
CLASS_ROWS = 24
"""Up to this many classes have a row each; of more, some are shown by one image each."""
LEVELS_SHOWN = 10
OBJECTS_PER_FACTOR = 2


def contact_sheets(
    images: ImageSet, conditions: Mapping[str, Mapping[str, Sequence[Any]]], folder: Path, *, seed: int
) -> list[Sheet]:
    """All sheets as PNG in ``folder``; ``conditions``: shift → factor → levels made on evaluation."""
    sheets = [_classes(images, folder, seed)]
    sheets += [sheet for role in ("canonical", "diverse") if (sheet := _training(images, role, folder, seed))]
    return [*sheets, *_factors(images, conditions, folder, seed)]


def _classes(images: ImageSet, folder: Path, seed: int) -> Sheet:
    """One row per class: clean test images, each of another object."""
    rows = images.rows(split="test", shift="clean")
    table = images.samples.iloc[rows].drop_duplicates("object")
    if len(images.classes) > CLASS_ROWS:
        return _many_classes(images, table, folder, seed)
    tiles = []
    for label, name in enumerate(images.classes):
        own = table[table["label"] == label].index.to_numpy()
        chosen = _some(own, PER_CLASS, seed, name)
        tiles.append([images.images[row] for row in chosen])
    path = save_png(image_grid([row or [None] for row in tiles]), folder / "sheet_classes.png")
    objects = table["object"].nunique()
    names = ", ".join(images.classes)
    text = f"Clean test images, one row per class: {names}. Each tile shows another of {objects} objects."
    return Sheet(path, text, max(map(len, tiles)) / PER_CLASS)


def _many_classes(images: ImageSet, table: pd.DataFrame, folder: Path, seed: int) -> Sheet:
    """Two rows of clean test images, each of another class."""
    first = table.drop_duplicates("label")
    chosen = _some(first.index.to_numpy(), 2 * PER_CLASS, seed, "classes")
    text = (
        f"Clean test images, each of another class: {len(chosen)} of {len(images.classes)} classes, of which "
        f"{len(first)} have images. There are {len(table)} objects."
    )
    return _two_rows(images, chosen, folder / "sheet_classes.png", text)


def _training(images: ImageSet, role: str, folder: Path, seed: int) -> Sheet | None:
    rows = images.rows(split="train", role=role)
    posed = bool((images.samples["shift"] == "pose").any())
    words = {
        "canonical": "Training images" + ", canonical: frontal views, plain backgrounds" * posed + ".",
        "diverse": "Training images, diverse: all factors varied, as many images.",
    }
    chosen = _some(rows, 2 * PER_CLASS, seed, role)
    return _two_rows(images, chosen, folder / f"sheet_{role}.png", words[role]) if len(rows) else None


def _two_rows(images: ImageSet, chosen: Sequence[int], path: Path, caption: str) -> Sheet:
    tiles = [images.images[row] for row in chosen]
    rows = [row for row in (tiles[:PER_CLASS], tiles[PER_CLASS:]) if row]
    return Sheet(save_png(image_grid(rows), path), caption, min(1.0, len(tiles) / PER_CLASS))


def _factors(
    images: ImageSet, conditions: Mapping[str, Mapping[str, Sequence[Any]]], folder: Path, seed: int
) -> Iterator[Sheet]:
    """One strip per factor: the same objects at every level."""
    clean = images.rows(split="test", shift="clean")
    first = images.samples.iloc[clean].drop_duplicates("label")
    labels = _some(first["label"].to_numpy(), OBJECTS_PER_FACTOR, seed, "factor strips")
    objects = first["object"][first["label"].isin(labels)].tolist()
    for shift, factor, levels in _stored(images):
        rows = [[_stored_tile(images, shift, factor, level, name) for level in levels] for name in objects]
        if any(tile is not None for row in rows for tile in row):
            shown = [f"{view(level)[0]:g}°" for level in levels] if factor == "sphere" else levels
            yield _strip(rows, shift, factor, shown, folder)
    for shift, factors in conditions.items():
        for factor, levels in factors.items():
            shown = list(levels)[:LEVELS_SHOWN]
            rows = [_made_tiles(images, shift, factor, shown, name, seed) for name in objects]
            yield _strip(rows, shift, factor, [str(level) for level in shown], folder)


def _strip(
    rows: Sequence[Sequence[np.ndarray | None]], shift: str, factor: str, levels: Iterable[str], folder: Path
) -> Sheet:
    path = save_png(image_grid(rows), folder / f"strip_{shift}_{factor}.png")
    return Sheet(path, f"{shift} / {factor}: {', '.join(levels)}", len(rows[0]) / LEVELS_SHOWN, strip=True)


def _stored(images: ImageSet) -> Iterator[tuple[str, str, list[str]]]:
    """(shift, factor, levels) of the test images, a dense sphere thinned to its horizon."""
    from robustness.scores.conditions import in_order

    test = images.samples[images.samples["split"] == "test"]
    for (shift, factor), part in test.groupby(["shift", "factor"], sort=False):
        if shift == "clean":
            continue
        levels = in_order(part["level"].unique())
        views = {level: view(level) for level in levels}
        if factor == "sphere":
            levels = sorted((lv for lv, at in views.items() if at and at[1] == 0), key=lambda lv: views[lv])
        step = -(-len(levels) // LEVELS_SHOWN) if levels else 1
        yield shift, factor, levels[::step]


def _stored_tile(images: ImageSet, shift: str, factor: str, level: str, name: str) -> np.ndarray | None:
    rows = images.rows(split="test", shift=shift, factor=factor, level=level, object=name)
    return images.images[rows[0]] if len(rows) else None


def _made_tiles(
    images: ImageSet, shift: str, factor: str, levels: Sequence[Any], name: str, seed: int
) -> list[np.ndarray]:
    """The first clean image of an object under conditions that are made when a model is evaluated."""
    from robustness.data.image_set import format_level
    from robustness.evaluation import ImageCondition, lenders, shifted

    rows = images.rows(split="test", shift="clean", object=name)[:1]
    made = [ImageCondition(shift, factor, format_level(level)) for level in levels]
    donors = lenders(images, made)
    x = images.batch(rows)
    return [to_bytes(shifted(x, images, rows, each, donors, seed).numpy())[0] for each in made]


def _some(values: np.ndarray, count: int, seed: int, purpose: str) -> np.ndarray:
    """Up to ``count`` of the values, drawn by seed, in their order."""
    if len(values) <= count:
        return np.asarray(values)
    chosen = numpy_generator(seed, "contact sheet", purpose).permutation(len(values))[:count]
    return np.asarray(values)[np.sort(chosen)]
