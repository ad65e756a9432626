"""The curated class list: which model is of which class, or a distractor, and in which split."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from robustness.data.objects.library import ModelLibrary
from robustness.errors import UserError, nearest

CLASSES = ("chair", "sofa", "bed", "table", "cabinet", "lamp", "plant", "person", "vehicle", "vessel")
"""The classes in the order of their labels."""

DISTRACTOR_CLASS = "distractor"
EXCLUDED = "excluded"
COLUMNS = ("object", "name", "class", "split", "family", "creator", "licence")
OBJECT_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class ListedObject:
    """One row of the class list; ``label`` is -1 for a distractor. Objects of a family stay in one split."""

    id: str
    label: int
    split: str
    family: str
    creator: str
    licence: str


@dataclass(frozen=True)
class ClassList:
    """The objects of the classes and the distractors, in the file's order; excluded models are left out."""

    objects: tuple[ListedObject, ...]
    distractors: tuple[ListedObject, ...]

    def of_split(self, split: str) -> tuple[ListedObject, ...]:
        """The objects of one split: train, validation, test."""
        return tuple(each for each in self.objects if each.split == split)

    def distractors_of(self, split: str) -> tuple[ListedObject, ...]:
        """The distractors for the objects of a split; validation uses those of training."""
        wanted = "test" if split == "test" else "train"
        return tuple(each for each in self.distractors if each.split == wanted)


def read_class_list(path: Path | str, library: ModelLibrary) -> ClassList:
    """Read the list and check it against the library.

    Raises UserError, in one line that names the row, for: a missing column, an unknown class or split, a
    model that the library does not have, a model listed twice, a family in two splits, a class without
    objects in a split.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"class list {path}: it cannot be read ({error})") from error
    missing = [column for column in COLUMNS if not rows or column not in rows[0]]
    if missing:
        raise UserError(f"class list {path}: no column {missing[0]!r}; needs {', '.join(COLUMNS)}")
    objects, distractors = [], []
    seen: set[str] = set()
    for number, row in enumerate(rows, start=2):
        listed = _listed(row, f"class list {path}, line {number}", library)
        if listed.id in seen:
            raise UserError(f"class list {path}, line {number}: {listed.id} is listed twice")
        seen.add(listed.id)
        if row["class"] != EXCLUDED:
            (distractors if row["class"] == DISTRACTOR_CLASS else objects).append(listed)
    _check_families(objects, path)
    for split in OBJECT_SPLITS:
        present = {each.label for each in objects if each.split == split}
        for label, name in enumerate(CLASSES):
            if label not in present:
                raise UserError(f"class list {path}: class {name!r} has no object in split {split!r}")
    return ClassList(tuple(objects), tuple(distractors))


def _listed(row: dict[str, str], place: str, library: ModelLibrary) -> ListedObject:
    name, split = row["class"], row["split"]
    known = (*CLASSES, DISTRACTOR_CLASS, EXCLUDED)
    if name not in known:
        raise UserError(f"{place}: unknown class {name!r}; {nearest(name, known)}")
    if row["object"] not in library.models:
        help_text = nearest(row["object"], library.models) if len(library) else ""
        raise UserError(f"{place}: the library has no model {row['object']!r}; {help_text}")
    allowed = {DISTRACTOR_CLASS: ("train", "test"), EXCLUDED: ("",)}.get(name, OBJECT_SPLITS)
    if split not in allowed:
        raise UserError(
            f"{place}: split {split!r} of {row['object']} is none of {', '.join(allowed) or 'empty'}"
        )
    label = CLASSES.index(name) if name in CLASSES else -1
    return ListedObject(row["object"], label, split, row["family"], row["creator"], row["licence"])


def _check_families(objects: list[ListedObject], path: Path) -> None:
    splits: dict[str, ListedObject] = {}
    for each in objects:
        first = splits.setdefault(each.family, each) if each.family else each
        if first.split != each.split:
            raise UserError(
                f"class list {path}: family {each.family!r} is in two splits "
                f"({first.id}: {first.split}, {each.id}: {each.split})"
            )
