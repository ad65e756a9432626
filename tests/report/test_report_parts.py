"""Wording, palette, shading, twins, published values: the parts of the report one by one."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import hand_made
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import Colormap
from PIL import Image

from robustness import architectures, frontends, scores
from robustness.data.image_set import ImageSet
from robustness.report import markdown, palette, published, wording
from robustness.report.contact_sheets import contact_sheets
from robustness.report.context import ReportContext
from robustness.report.document import Cell
from robustness.report.image_grid import GAP, image_grid
from robustness.report.inputs import TABLES, ReportInputs, Score
from robustness.report.model_table import ModelTable
from robustness.report.shading import DIVERGING, SEQUENTIAL, ink_on, shaded
from robustness.scores.twins import compare_best, twins
from robustness.yaml_file import read_yaml


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (Score(0.8312, 0.7921, 0.868), "83.1 [79.2, 86.8]"),
        (Score(0.5), "50.0"),
        (Score(-0.031, -0.05, 0.002), "−3.1 [−5.0, 0.2]"),
    ],
)
def test_interval(score: Score, text: str) -> None:
    assert wording.interval(score) == text


def test_signed_numbers_have_their_sign_and_zero_has_none() -> None:
    assert wording.interval_signed(Score(0.05, -0.012, 0.0)) == "+5.0 [−1.2, 0.0]"
    assert wording.signed(-0.0001) == "0.0"


def test_beyond_the_last_level_is_a_bound() -> None:
    assert wording.interval_plain(Score(math.inf, 4.21, math.inf), 1) == "> 4.2"


@pytest.mark.parametrize(
    ("count", "total", "text"),
    [
        (0, 3, "none of the 3 models"),
        (3, 3, "all 3 models"),
        (2, 3, "2 of 3 models"),
        (1, 1, "the one model"),
    ],
)
def test_of(count: int, total: int, text: str) -> None:
    assert wording.of(count, total, "model") == text


def test_listed() -> None:
    assert wording.listed(["a"]) == "a"
    assert wording.listed(["a", "b", "c"]) == "a, b and c"
    assert wording.listed(list("abcdefgh"), 3) == "a, b, c and 5 more"


def test_every_family_and_frontend_of_the_registries_has_a_look() -> None:
    families = {architectures.get(name).family for name in architectures.names()}
    assert families <= set(palette.FAMILIES)
    assert set(frontends.names()) == set(palette.FRONTENDS) == set(palette.FRONTEND_COLOURS)


# Machado, Oliveira & Fernandes (2009), full severity, on linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def lab(colour: str, deficiency: str) -> np.ndarray:
    """CIE Lab (D65) of a colour as seen under a deficiency."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    linear = np.clip(DEFICIENCIES[deficiency] @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = to_xyz @ linear / np.array([0.95047, 1.0, 1.08883])
    f = [value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116 for value in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_what_is_compared_can_be_told_apart(deficiency: str) -> None:
    """Families differ in marker at least; front-ends, trainings and noise modes in colour for every eye."""
    markers = [marker for _, marker in palette.FAMILIES.values()]
    assert len(set(markers)) == len(markers)
    for colours in (palette.FRONTEND_COLOURS, palette.TRAINING_COLOURS, palette.NOISE_COLOURS):
        for (first, a), (second, b) in itertools.combinations(colours.items(), 2):
            distance = np.linalg.norm(lab(a, deficiency) - lab(b, deficiency))
            assert distance > 12, f"{first} and {second} look alike ({distance:.1f})"


@pytest.mark.parametrize("scale", [SEQUENTIAL, DIVERGING])
def test_scales_are_readable(scale: Colormap) -> None:
    for share in np.linspace(0, 1, 41):
        fill = shaded(Cell("x"), share, scale).fill
        contrast = _contrast(fill, ink_on(fill))
        assert contrast > 4.5, f"{fill}: {contrast:.1f}"
    assert shaded(Cell("x"), -1, scale) == shaded(Cell("x"), 0, scale)
    assert shaded(Cell("x"), 2, scale) == shaded(Cell("x"), 1, scale)
    assert shaded(Cell("x"), math.nan).fill == ""


def test_sequential_scale_darkens_throughout() -> None:
    lightness = [lab(shaded(Cell("x"), share).fill, "none")[0] for share in np.linspace(0, 1, 21)]
    assert np.all(np.diff(lightness) < 0)


def _contrast(first: str, second: str) -> float:
    def luminance(colour: str) -> float:
        c = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        c = np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return float(c @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_twins_differ_in_one_axis_alone() -> None:
    rows = [
        ("a", "resnet18", "learned", "canonical", 0.5),
        ("b", "resnet18", "vone", "canonical", 0.5),
        ("c", "resnet18", "vone", "canonical", 1.0),
        ("d", "resnet18", "learned", "diverse", 0.5),
        ("e", "vgg11", "vone", "canonical", 0.5),
    ]
    models = pd.DataFrame(rows, columns=["model", "architecture", "frontend", "training", "width"])
    assert twins(models) == [("frontend", "b", "a"), ("training", "d", "a")]
    both = pd.DataFrame([("f", "resnet18", "vone", "diverse", 0.5)], columns=models.columns)
    found = twins(pd.concat([models, both]))
    assert set(found) - set(twins(models)) == {
        ("frontend", "f", "d"),
        ("training", "f", "b"),
        ("both", "f", "a"),
    }


def test_the_best_architecture_is_set_against_the_upper_median_of_each_score(
    whole_inputs: ReportInputs,
) -> None:
    models = pd.DataFrame(
        [(name, "learned", "canonical") for name in "abcd"] + [("e", "vone", "canonical")],
        columns=["model", "frontend", "training"],
    )
    objects = np.arange(20)
    right = {"a": 4, "b": 8, "c": 12, "d": 16, "e": 20}
    names = [f"{i:02d}" for i in objects]
    wrong = {name: (objects >= count).astype(int) for name, count in right.items()}
    predictions = pd.concat(
        [pd.DataFrame({"model": name, "object": names, "prediction": wrong[name]}) for name in right]
    ).assign(shift="clean", factor="none", level="0", label=0)
    predictions["sample"] = np.tile(objects, len(right))
    scored = scores.from_predictions(predictions, classes=2, resamples=100)
    attacks = whole_inputs.attacks.iloc[:0]
    (found,) = compare_best(predictions, attacks, models, scored, classes=2, resamples=100).itertuples()
    assert (found.model_a, found.model_b, found.metric) == ("d", "c", "clean/accuracy")
    assert found.difference == pytest.approx(0.2)
    assert np.isnan(found.p)
    assert found.axis == "architecture"
    assert compare_best(predictions, attacks, models[:2], scored, classes=2, resamples=100).empty


def test_published_values_name_known_sources_families_and_metrics(whole_inputs: ReportInputs) -> None:
    families = {architectures.get(name).family for name in architectures.names()}
    for entry in published._data()["entries"]:
        assert entry["source"] in published.sources()
        assert entry.get("family", "ResNet") in families
        assert published.short(entry["source"])[-4:].isdigit()
        metric = entry["metric"]
        assert metric in whole_inputs.keys or metric == "corruption/accuracy", metric  # not in the fixture


EPSILONS = {"linf": ["0.25", "1"], "l2": ["0.04286", "0.1714"], "l1": ["3.265", "13.06"]}
"""VOneNet's smaller two of each norm, at 64 pixels."""


def attacked_as_vonenet(**changed: object) -> ReportContext:
    """Two models and their mean difference under VOneNet's attack, or another (keys of ``attack``)."""
    models = {"plain": hand_made.model("resnet18"), "fixed": hand_made.model("resnet18", "vone")}
    metrics = [f"attack/worst_{n}/eps_{e}/robust_accuracy" for n, own in EPSILONS.items() for e in own]
    values = {"plain": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), "fixed": (0.6,) * 6}
    found = {(name, m): (v, v - 0.1, v + 0.1) for name, own in values.items()
             for m, v in zip(metrics, own, strict=True)}  # fmt: skip
    found["plain", "corruption/category/noise/accuracy"] = (0.31, 0.3, 0.32)
    made = hand_made.context(models, found)
    rows = [("frontend", "vone", "learned", "canonical", m, 0.25, 0.2, 0.3, 3, 1, 50, "higher", 2, 2)
            for m in metrics]  # fmt: skip
    suite = [{"pgd": {"steps": 64, "rel_stepsize": 0.03125, "random_start": False}}]
    norms = {norm: {"epsilons": own, "suite": suite} for norm, own in EPSILONS.items()}
    params = {**made.inputs.params, "attack": {"eot_samples": 10, "norms": norms} | changed}
    effects = pd.DataFrame(rows, columns=list(TABLES["effects"]))
    return replace(made, inputs=replace(made.inputs, params=params, effects=effects))


def test_vonenets_accuracies_stand_beside_ours_under_its_attack() -> None:
    table = published.protocol(attacked_as_vonenet())
    assert [column.title for column in table.columns] == [
        "model", "clean", "white box", "corruptions", "noise", "blur", "weather", "digital",
    ]  # fmt: skip
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert rows["VOneResNet-50 (published)"] == ["71.7", "51.1", "40.0", "–", "–", "–", "–"]
    assert rows["VOneResNet-50 − ResNet-50 (published)"][:3] == ["−3.9", "+34.7", "+1.2"]
    assert rows["plain"] == ["–", "35.0 [25.0, 45.0]", "–", "31.0 [30.0, 32.0]", "–", "–", "–"]
    assert rows["vone − learned"][1] == "+25.0 [+20.0, +30.0]"


@pytest.mark.parametrize(
    "changed",
    [
        {"eot_samples": 8},
        {"norms": {"linf": {"epsilons": [0.25, 1], "suite": "standard"}}},
        {"norms": {"linf": {"suite": [{"pgd": {"steps": 64, "rel_stepsize": 0.1, "random_start": False}}]}}},
    ],
)
def test_under_another_attack_vonenets_accuracies_are_not_shown(changed: dict) -> None:
    assert published.protocol(attacked_as_vonenet(**changed)) is None


def test_at_another_size_of_image_vonenets_budgets_are_others() -> None:
    made = attacked_as_vonenet()
    larger = replace(made.inputs, data=replace(made.inputs.data, image_size=224))
    assert published.protocol(replace(made, inputs=larger)) is None


def test_the_protocol_of_the_profile_is_the_published_one() -> None:
    params = read_yaml(Path(__file__).resolve().parents[2] / "profiles" / "vonenet_protocol.yaml")
    made = attacked_as_vonenet(**params["attack"])
    assert [e for own in params["attack"]["norms"].values() for e in own["epsilons"][:2]] == [
        float(e) for own in EPSILONS.values() for e in own
    ]
    assert published.protocol(made) is not None


def test_published_on_the_relatives_of_imagenet(whole_inputs: ReportInputs, tmp_path: Path) -> None:
    """The figures of the literature stand beside ours, model by model; what is not at hand is said."""
    assert (
        published.sets(ReportContext(whole_inputs, ModelTable.of(whole_inputs), tmp_path)) is None
    )  # rendered objects
    inputs = replace(whole_inputs, data=replace(whole_inputs.data, name="imagenet_v2"))
    models = ModelTable.of(inputs)
    found = published.sets(ReportContext(inputs, models, tmp_path))
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in found.rows}
    alexnet = [model for model in models if model.architecture == "alexnet"]
    assert set(rows) == {model.name for model in alexnet}
    name = alexnet[0].name
    assert rows[name][:7] == ["56.6", "13.9", "44.0", "1.8", "21.8", "10.7", "100.0"]
    assert rows[name][7].startswith(f"{100 * inputs.score(name, 'clean/accuracy').value:.1f}")
    assert "resnet18_learned" in found.caption  # of which none is at hand
    others = ModelTable(model for model in models if model not in alexnet)
    missing = published.sets(ReportContext(inputs, others, tmp_path))
    assert missing.style == "missing"
    assert "resnet18" in missing.paragraphs[0]


def test_a_contact_sheet_of_a_thousand_classes_fits_a_page(tmp_path: Path) -> None:
    names = [f"n{number:08}" for number in range(1000)]
    labels = list(range(0, 1000, 25)) * 2
    samples = pd.DataFrame(
        {"split": "test", "role": "test", "object": [f"photo{n}" for n in range(80)], "label": labels,
         "shift": "clean", "factor": "none", "level": "0"}
    )  # fmt: skip
    with ImageSet.create(tmp_path / "set", 80, 16, names, masks=False) as writer:
        writer.images[:] = np.arange(80, dtype=np.uint8)[:, None, None, None]
        images = writer.finish(samples)
    (sheet,) = contact_sheets(images, {}, tmp_path / "sheets", seed=0)
    with Image.open(sheet.path) as picture:
        assert picture.size == (14 * (16 + GAP) - GAP, 2 * (16 + GAP) - GAP)
        middles = np.asarray(picture)[8 :: 16 + GAP, 8 :: 16 + GAP, 0].flatten().tolist()
    assert len({labels[number] for number in middles}) == 28  # each of another class
    assert "28 of 1000 classes, of which 40 have images" in sheet.caption
    assert len(sheet.caption) < 200


def test_image_grid_keeps_every_pixel() -> None:
    tile = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    sheet = image_grid([[tile, None], [tile]])
    assert sheet.shape == (4 + GAP, 4 + GAP, 3)
    assert np.array_equal(sheet[:2, :2], tile)
    assert np.array_equal(sheet[2 + GAP :, :2], tile)
    assert (sheet[:2, 2 + GAP :] == 255).all()


def test_table_without_a_column_is_refused(whole_inputs: ReportInputs) -> None:
    checks = whole_inputs.checks.drop(columns="verdict")
    with pytest.raises(ValueError, match="table checks: columns verdict are missing"):
        replace(whole_inputs, checks=checks)


def test_markdown_of_a_data_card() -> None:
    text = """# Title

Some **bold** and `code`
with [a link](somewhere) and a_name.

## Part
- one
  goes on
- two

| a | n |
|---|---:|
| *x* | 1,200 |

### Last
Words.
"""
    first, items, table, last = markdown.blocks(text, "card")
    assert first.paragraphs == ["Some bold and code with a link and a_name."]
    assert (items.heading, list(items.paragraphs), items.style) == ("Part", ["one goes on", "two"], "list")
    assert [[cell.text for cell in row] for row in table.rows] == [["x", "1,200"]]
    assert [column.numeric for column in table.columns] == [False, True]
    assert table.rows[0][1].sort == 1200
    assert (last.heading, list(last.paragraphs)) == ("Last", ["Words."])
