"""The curated class list against the real library: its numbers, its splits, and wrong lists."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from robustness.data.objects.class_list import CLASSES, read_class_list
from robustness.data.objects.library import ModelLibrary
from robustness.errors import UserError

CLASS_LIST = Path(__file__).resolve().parents[2] / "data" / "classes.csv"


@pytest.fixture(scope="module")
def library(library_folder: Path) -> ModelLibrary:
    return ModelLibrary(library_folder)


def test_numbers(library: ModelLibrary) -> None:
    classes = read_class_list(CLASS_LIST, library)
    splits = Counter(each.split for each in classes.objects)
    assert len(classes.objects) >= 300
    assert splits["test"] >= 80
    assert 0.1 < splits["validation"] / len(classes.objects) < 0.2
    assert 280 <= len(classes.distractors) <= 330
    for label in range(len(CLASSES)):
        of_class = Counter(each.split for each in classes.objects if each.label == label)
        assert of_class["train"] >= 7
        assert of_class["test"] >= 5
        assert of_class["validation"] >= 2


def test_every_model_of_the_library_is_listed_with_its_creator_and_licence(library: ModelLibrary) -> None:
    with CLASS_LIST.open(encoding="utf-8", newline="") as file:
        rows = {row["object"]: row for row in csv.DictReader(file)}
    assert rows.keys() == library.models.keys()
    for name, row in rows.items():
        assert (row["name"], row["creator"], row["licence"]) == (
            library[name].name,
            library[name].creator,
            library[name].licence,
        )


def test_objects_families_and_small_creators_are_in_one_split(library: ModelLibrary) -> None:
    classes = read_class_list(CLASS_LIST, library)
    ids = [each.id for each in (*classes.objects, *classes.distractors)]
    assert len(set(ids)) == len(ids)
    for key in ("family", "creator"):
        splits: dict[str, set[str]] = {}
        for each in classes.objects:
            if getattr(each, key):
                splits.setdefault(getattr(each, key), set()).add(each.split)
        shared = {name for name, found in splits.items() if len(found) > 1}
        # The two makers of most models are split by object and family.
        assert shared <= ({"Scopia", "Reallusion"} if key == "creator" else set())


def test_most_test_objects_are_of_creators_that_training_has_not_seen(library: ModelLibrary) -> None:
    classes = read_class_list(CLASS_LIST, library)
    seen = {each.creator for each in classes.objects if each.split != "test"}
    test = classes.of_split("test")
    assert sum(each.creator not in seen for each in test) / len(test) > 0.7


def test_test_distractors_are_not_those_of_training(library: ModelLibrary) -> None:
    classes = read_class_list(CLASS_LIST, library)
    training, test = (classes.distractors_of(split) for split in ("train", "test"))
    assert not {each.id for each in training} & {each.id for each in test}
    assert classes.distractors_of("validation") == training
    assert min(len(training), len(test)) > 90


def change(**new: str):
    def edit(rows: list[dict[str, str]]) -> None:
        rows[0].update(new)

    return edit


def drop_class(rows: list[dict[str, str]]) -> None:
    rows[:] = [row for row in rows if not (row["class"] == "bed" and row["split"] == "test")]


def split_family(rows: list[dict[str, str]]) -> None:
    families = Counter(row["family"] for row in rows if row["family"] and row["split"] == "train")
    family = families.most_common(1)[0][0]
    members = [row for row in rows if row["family"] == family]
    assert len(members) > 1
    members[0]["split"] = "test"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change(**{"class": "chairs"}), r"line 2: unknown class 'chairs'; did you mean chair\?"),
        (change(object="Scopia/unicorn"), "line 2: the library has no model 'Scopia/unicorn'"),
        (change(split="exam"), "line 2: split 'exam'"),
        (change(**{"class": "distractor", "split": "validation"}), "line 2: split 'validation'"),
        (lambda rows: rows.append(dict(rows[0])), "is listed twice"),
        (drop_class, "class 'bed' has no object in split 'test'"),
        (split_family, "is in two splits"),
        (lambda rows: [row.pop("creator") for row in rows], "no column 'creator'"),
        (lambda rows: rows.clear(), "no column 'object'"),
    ],
)
def test_wrong_lists_are_one_line(library: ModelLibrary, tmp_path: Path, edit, message: str) -> None:
    with CLASS_LIST.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    edit(rows)
    with (tmp_path / "list.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["nothing"])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(UserError, match=message) as error:
        read_class_list(tmp_path / "list.csv", library)
    assert "\n" not in str(error.value)


def test_a_missing_list_is_named(library: ModelLibrary, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.csv: it cannot be read"):
        read_class_list(tmp_path / "nowhere.csv", library)
