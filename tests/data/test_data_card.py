"""The data card and the attributions in git say what the class list and the default settings hold."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from robustness.data.objects.attribution import attributions
from robustness.data.objects.class_list import CLASSES, ClassList, read_class_list
from robustness.data.objects.library import ModelLibrary
from robustness.data.objects.settings import RenderSettings

DATA = Path(__file__).resolve().parents[2] / "data"
CARD = (DATA / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def library(library_folder: Path) -> ModelLibrary:
    return ModelLibrary(library_folder)


@pytest.fixture(scope="module")
def classes(library: ModelLibrary) -> ClassList:
    return read_class_list(DATA / "classes.csv", library)


def test_every_creator_is_attributed(library: ModelLibrary, classes: ClassList) -> None:
    used = [each.id for each in (*classes.objects, *classes.distractors)]
    assert (DATA / "ATTRIBUTIONS.md").read_text("utf-8") == attributions(library, used)


@pytest.mark.parametrize("label", range(len(CLASSES)))
def test_the_card_has_the_numbers_of_each_class(classes: ClassList, label: int) -> None:
    counts = Counter(each.split for each in classes.objects if each.label == label)
    row = f"| {CLASSES[label]} | {counts['train']} | {counts['validation']} | {counts['test']} |"
    assert row in CARD


def test_the_card_has_the_totals(classes: ClassList) -> None:
    splits = Counter(each.split for each in classes.objects)
    assert (
        f"**{splits['train']}** | **{splits['validation']}** | **{splits['test']}** | {len(classes.objects)}"
        in CARD
    )
    assert f"{len(classes.distractors)} more models" in CARD
    aside = Counter(each.split for each in classes.distractors)
    assert f"({aside['train']} for training, {aside['test']} for test)" in CARD


@pytest.mark.parametrize(
    ("path", "scenes", "words"),
    [
        ("params.yaml", 2, "two in the default run"),
        ("profiles/evidence.yaml", 3, "three in `profiles/evidence.yaml`"),
    ],
)
def test_the_card_has_the_numbers_of_scenes(path: str, scenes: int, words: str) -> None:
    given = yaml.safe_load((DATA.parent / path).read_text("utf-8"))["data"]["render"]
    assert RenderSettings.from_mapping(given, image_size=64, seed=0).test_scenes == scenes
    assert words in " ".join(CARD.split())


def test_the_card_has_the_levels() -> None:
    settings = RenderSettings.from_mapping(None, image_size=64, seed=0)
    for name, levels in settings.factors.items():
        listed = next(
            line for line in CARD.splitlines() if line.startswith(f"| {name.replace('/', ' / ')} |")
        )
        assert re.findall(r"[\w.-]+", listed.split("|")[2].replace("(1/f)", "")) == [
            str(each) for each in levels
        ]
