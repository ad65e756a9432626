"""The rendered benchmark as a whole, small: its table, its masks, its pairs, and work that is interrupted."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from robustness.data.image_set import BACKGROUND, DISTRACTOR, NO_CLASS, TARGET, ImageSet
from robustness.data.objects import benchmark
from robustness.data.objects.benchmark import RenderSettings, render_objects
from robustness.data.objects.class_list import CLASSES, read_class_list
from robustness.data.objects.library import ModelLibrary
from robustness.data.objects.plan import plan
from robustness.errors import UserError

CLASS_LIST = Path(__file__).resolve().parents[2] / "data" / "classes.csv"
SMALL = {
    "train_per_class": 2,
    "validation_per_class": 1,
    "test_scenes": 1,
    "objects_per_class": 1,
    "factors": {
        "pose/azimuth": [0, 90],
        "clutter/distractors": [2],
        "clutter/background": ["room"],
        "clutter/occlusion": [0.4],
        "cue/surface": ["other", "black"],
    },
    "sphere": {"azimuths": [0, 180], "elevations": [0]},
    "random_views": 1,
}
PER_TEST_OBJECT = 1 + 6 + 2 + 1
FEW_DISTRACTORS = 3


def settings(**changes) -> RenderSettings:
    return RenderSettings.from_mapping({**SMALL, **changes}, image_size=32, seed=7)


@pytest.fixture(scope="module")
def build(library_folder: Path, tmp_path_factory: pytest.TempPathFactory):
    """Renders with the real class list, cut down to a few distractors."""
    with CLASS_LIST.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kept, distractors = [], Counter()
    for row in rows:
        distractors[row["split"]] += row["class"] == "distractor"
        if row["class"] in CLASSES or distractors[row["split"]] <= FEW_DISTRACTORS:
            kept.append(row)
    path = tmp_path_factory.mktemp("list") / "classes.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(kept)

    def render(folder: Path, workers: int = 1, **changes) -> ImageSet:
        return render_objects(
            library_folder, path, settings(**changes), folder, workers=workers, progress=False
        )

    render.class_list = path
    return render


@pytest.fixture(scope="module")
def small(build, tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return build(tmp_path_factory.mktemp("one") / "set")


def test_the_table(small: ImageSet) -> None:
    assert small.classes == list(CLASSES)
    assert small.image_size == 32
    counts = small.samples.groupby(["split", "role"]).size().to_dict()
    assert counts == {
        ("train", "canonical"): 20,
        ("train", "diverse"): 20,
        ("validation", "canonical"): 10,
        ("test", "test"): 10 * PER_TEST_OBJECT,
        ("unknown", "canonical"): FEW_DISTRACTORS,
    }
    unknown = small.samples.iloc[small.rows(split="unknown")]
    assert set(unknown["label"]) == {NO_CLASS}
    assert unknown["object"].is_unique
    assert not set(unknown["object"]) & set(small.samples.loc[small.samples["split"] == "train", "object"])
    for rows in (
        small.rows(split="train", role="canonical"),
        small.rows(role="diverse"),
        small.rows(role="test"),
    ):
        table = small.samples.iloc[rows]
        assert table["label"].value_counts().nunique() == 1
    clean = small.samples.iloc[small.rows(shift="clean")]
    assert set(clean["factor"]) == {"none"}
    assert set(clean["level"]) == {"0"}
    assert set(small.samples.iloc[small.rows(factor="sphere")]["level"]) == {"az0_el0", "az180_el0"}


def test_a_surface_changes_no_shape_and_comes_from_another_class(small: ImageSet) -> None:
    wearing = small.rows(factor="surface", level="other")
    assert len(wearing) == len(CLASSES)
    for row in wearing:
        sample = small.samples.iloc[row]
        assert sample["surface_label"] in set(range(len(CLASSES))) - {sample["label"]}
        (clean,) = small.rows(object=sample["object"], shift="clean")
        (black,) = small.rows(object=sample["object"], factor="surface", level="black")
        for other in (row, black):
            np.testing.assert_array_equal(small.masks[other], small.masks[clean])
            assert (small.images[other] != small.images[clean]).any()
        assert small.images[black][small.masks[black] == TARGET].min() == 0
    assert (np.delete(small.samples["surface_label"].to_numpy(), wearing) == NO_CLASS).all()


def test_images_are_paired_and_differ_only_in_their_factor(small: ImageSet) -> None:
    kept = [
        "azimuth",
        "elevation",
        "roll",
        "distance",
        "shift_right",
        "shift_down",
        "light_azimuth",
        "background",
    ]
    for name in small.samples.iloc[small.rows(split="test")]["object"].unique():
        (clean,) = small.rows(object=name, shift="clean")
        for factor, changed in (
            ("azimuth", "azimuth"),
            ("distractors", None),
            ("background", "background"),
            ("occlusion", None),
        ):
            (row,) = small.rows(object=name, factor=factor)
            before, after = small.samples.iloc[clean], small.samples.iloc[row]
            assert before["scene"] == after["scene"]
            assert {column for column in kept if before[column] != after[column]} == ({changed} - {None})
            assert (small.images[clean] != small.images[row]).any()


def test_masks_and_measures_agree(small: ImageSet) -> None:
    for row, sample in small.samples.iterrows():
        mask = small.masks[row]
        if sample["role"] == "test" and sample["factor"] not in ("occlusion", "distractors"):
            assert (mask == TARGET).sum() > 20
            assert not (mask == DISTRACTOR).any()
            assert sample["visible_fraction"] == 1
        shown = (mask == DISTRACTOR).mean()
        assert shown >= sample["clutter_fraction"] - (mask == TARGET).mean() - 1e-6
        if shown == 0 and sample["distractors"] == 0:
            assert sample["clutter_fraction"] == 0
    occluded = small.samples.iloc[small.rows(factor="occlusion")]
    np.testing.assert_allclose(occluded["visible_fraction"], 0.6, atol=0.1)
    assert (small.samples.iloc[small.rows(factor="distractors")]["distractors"] >= 1).all()


def test_the_background_swap_leaves_the_objects_pixels(small: ImageSet) -> None:
    """Inside the mask's interior, only the shadows of the background can differ, and there are none."""
    for row in small.rows(factor="background"):
        (clean,) = small.rows(object=small.samples["object"][row], shift="clean")
        np.testing.assert_array_equal(small.masks[row], small.masks[clean])
        inside = small.masks[clean] == TARGET
        # Pixels at the edge mix object and background; most of a mask is interior or half covered.
        same = (small.images[row] == small.images[clean]).all(2)
        assert same[inside].sum() > 0
        assert not same[small.masks[clean] == BACKGROUND].all()


def test_the_number_of_workers_changes_nothing(small: ImageSet, build, tmp_path: Path) -> None:
    two = build(tmp_path / "set", workers=2)
    np.testing.assert_array_equal(two.images, small.images)
    np.testing.assert_array_equal(two.masks, small.masks)
    assert two.samples.equals(small.samples)
    for name in ("images.npy", "masks.npy", "samples.parquet", "rendering.json", "ATTRIBUTIONS.md"):
        assert (two.folder / name).read_bytes() == (small.folder / name).read_bytes()


def test_creators_and_licences_go_with_the_images(small: ImageSet) -> None:
    text = (small.folder / "ATTRIBUTIONS.md").read_text()
    for creator in small.samples["creator"].unique():
        assert creator in text
    assert "CC BY 3.0" in text
    assert json.loads((small.folder / "rendering.json").read_text())["settings"]["seed"] == 7


def test_an_interrupted_run_goes_on_where_it_stopped(
    small: ImageSet, build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    do = benchmark.Worker.do

    def stopping(worker: benchmark.Worker, job) -> tuple[int, str]:
        if len(done) == 7:
            raise KeyboardInterrupt
        done.append(job.name)
        return do(worker, job)

    monkeypatch.setattr(benchmark.Worker, "do", stopping)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "set")
    assert not (tmp_path / "set").exists()
    first, done[:] = set(done), []
    counting = lambda worker, job: (done.append(job.name), do(worker, job))[1]  # noqa: E731
    monkeypatch.setattr(benchmark.Worker, "do", counting)
    images = build(tmp_path / "set")
    assert not first & set(done)
    assert len(first) + len(done) == 40 + FEW_DISTRACTORS
    np.testing.assert_array_equal(images.images, small.images)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_model_that_cannot_be_read_is_left_out_and_named(
    library_folder: Path,
    build,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    library = ModelLibrary(library_folder)
    classes = read_class_list(build.class_list, library)
    jobs = plan(
        classes,
        settings(objects_per_class=2, factors={"clutter/distractors": [1]}, sphere=None, random_views=0),
    )
    test_jobs = [job for job in jobs if job.object.split == "test"]
    bad_object, bad_distractor = test_jobs[0].object.id, test_jobs[-1].pool[0]
    load = benchmark.load_mesh

    def failing(library: ModelLibrary, model):
        if model.id in (bad_object, bad_distractor):
            raise ValueError(f"{model.id}: a coordinate is not a finite number")
        return load(library, model)

    monkeypatch.setattr(benchmark, "load_mesh", failing)
    monkeypatch.setattr(benchmark, "plan", lambda *_: jobs)
    images = build(tmp_path / "set")
    assert bad_object not in set(images.samples["object"])
    assert images.samples.iloc[images.rows(split="test")]["label"].nunique() == 10
    notes = json.loads((images.folder / "rendering.json").read_text())["notes"]
    for name in (bad_object, bad_distractor):
        assert f"{name}: a coordinate is not a finite number" in notes
    assert f"left out: {bad_object}" in capsys.readouterr().err
    assert (images.samples.iloc[images.rows(factor="distractors")]["distractors"] == 1).all()


def test_a_class_without_any_readable_model_is_one_line(
    build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(library: ModelLibrary, model):
        raise ValueError(f"{model.id}: it has no faces")

    monkeypatch.setattr(benchmark, "load_mesh", failing)
    with pytest.raises(UserError, match=r"class 'chair' has no object left in split 'train': .*no faces"):
        build(tmp_path / "set", factors={}, sphere=None, random_views=0)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_per_clas": 1}, "data.render.train_per_clas: unknown key; did you mean train_per_class"),
        ({"train_per_class": 0}, r"data.render.train_per_class: use a number .* 1 \(found 0\)"),
        ({"test_scenes": "many"}, r"data.render.test_scenes: .*integer \(found 'many'\)"),
        ({"training": ["canonical", "odd"]}, "data.render.training"),
        ({"training": ["diverse", "diverse"]}, "data.render.training: a role stands twice"),
        (
            {"factors": ["pose/azimut"]},
            "no rendered factor 'pose/azimut'; did you mean pose/azimuth",
        ),
        ({"factors": ["corruption/contrast"]}, "no rendered factor 'corruption/contrast'"),
        ({"factors": {"pose/azimuth": [0, 190]}}, "level 190 is not a number from 0 to 180"),
        ({"factors": {"clutter/background": ["forest"]}}, "no level 'forest'"),
        ({"factors": {"pose/azimuth": 30}}, "30 is no list of levels"),
        ({"factors": {"pose/azimuth": [30, 30]}}, "a level stands twice"),
        ({"factors": "all"}, "neither a list of factors nor factors with levels"),
        ({"sphere": {"azimuths": [400]}}, "data.render.sphere.azimuths"),
        ({"sphere": {"elevations": [90]}}, "data.render.sphere.elevations"),
    ],
)
def test_wrong_settings_are_one_line(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        settings(**changes)
    assert "\n" not in str(error.value)


def test_factors_may_be_a_list_and_leave_out_the_clean_level() -> None:
    chosen = settings(factors=["plane/roll", "clutter/background"]).factors
    assert chosen == {
        "plane/roll": [15, 30, 60, 90, 180],
        "clutter/background": ["gradient", "noise", "room"],
    }
    everything = RenderSettings.from_mapping(None, image_size=64, seed=0)
    assert len(everything.factors) == 12
    assert everything.sphere is not None


def test_the_default_plan(library_folder: Path) -> None:
    library = ModelLibrary(library_folder)
    classes = read_class_list(CLASS_LIST, library)
    jobs = plan(classes, RenderSettings.from_mapping(None, image_size=64, seed=0))
    images = {
        role: sum(len(job.views) for job in jobs if job.rows[0]["role"] == role)
        for role in ("diverse", "test")
    }
    assert images["diverse"] == 4000
    assert sum(job.rows[0]["split"] == "unknown" for job in jobs) == 131
    assert images["test"] < 30_000  # five minutes at 100 images per second
    assert len({job.name for job in jobs}) == len(jobs)
    keys = [view.key for job in jobs if job.rows[0]["role"] != "test" for view in job.views]
    assert len(set(keys)) == len(keys)
    test_distractors = {name for job in jobs if job.object.split == "test" for name in job.pool}
    assert not test_distractors & {name for job in jobs if job.object.split != "test" for name in job.pool}
