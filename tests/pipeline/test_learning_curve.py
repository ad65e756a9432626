"""The stage of the learning curve on a made-up image set: what is trained on what, and taken up again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_run import LENET, PARAMS, run_stage, write_params

from pipeline import files, stage
from robustness import evaluation, progress, training
from robustness.data.image_set import ImageSet
from robustness.learning_curve import FACTS, epochs
from robustness.whole_files import read_table

CLASSES = ["dark", "light"]
SIZE = 32
SETTINGS = PARAMS | {
    "data": {"set": "digits", "image_size": SIZE},
    "training": PARAMS["training"] | {"batch_size": 8, "epochs": 2},
    "evaluation": {
        "batch_size": 16,
        "conditions": {"plane": {"rotation": [90]}, "corruption": {"contrast": [3]}},
    },
    "learning_curve": {"model": LENET, "objects": [0.5, 1.0], "views": [0.25]},
}
OBJECTS, VIEWS = 4, 4  # of each class, in training
STEPS = 2 * OBJECTS * VIEWS * len(CLASSES) // 8


def make_images(folder: Path, seed: int = 0) -> None:
    """Dark and light squares of noise: training objects with several views; shifted test images."""
    rows = [("train", "canonical", f"{label}.{i}", label, "clean", "none", "0")
            for label in range(2) for i in range(OBJECTS) for _ in range(VIEWS)]  # fmt: skip
    rows += [("validation", "canonical", f"{label}.v", label, "clean", "none", "0") for label in range(2)]
    for label in range(2):
        for condition in (
            ("clean", "none", "0"),
            ("pose", "azimuth", "90"),
            ("pose", "sphere", "az0_el0"),
            ("clutter", "distractors", "2"),
            ("light", "azimuth", "45"),
        ):
            rows.append(("test", "test", f"{label}.t", label, *condition))
    columns = ["split", "role", "object", "label", "shift", "factor", "level"]
    samples = pd.DataFrame(rows, columns=columns)
    pixels = np.random.default_rng(seed).integers(0, 128, (len(samples), SIZE, SIZE, 3))
    with ImageSet.create(folder / "data" / "images", len(samples), SIZE, CLASSES) as writer:
        writer.images[:] = pixels + 127 * samples["label"].to_numpy()[:, None, None, None]
        writer.masks[:] = 1
        writer.finish(samples)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The table of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run(folder)


def run(folder: Path, settings: dict[str, Any] = SETTINGS) -> pd.DataFrame:
    if not (folder / files.IMAGES).exists():
        make_images(folder)
    write_params(folder, settings)
    run_stage("learning_curve")
    return read_table(files.LEARNING_CURVE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def counted(monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None] = lambda _: None) -> list[str]:
    """The bars of epochs that are trained from now on; ``before`` is called with how many there were."""
    trained: list[str] = []

    def bar(name: str) -> Callable[[int, int, float, float], None]:
        def show(*_: float) -> None:
            before(len(trained))
            trained.append(name)

        return show

    monkeypatch.setattr(progress, "epochs", bar)
    return trained


def test_each_share_is_trained_for_as_many_steps_and_all_of_the_data_once(
    folder: Path, whole: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = counted(monkeypatch)
    run(folder)
    facts = whole[list(FACTS)].drop_duplicates()
    assert facts.to_dict("tight")["data"] == [
        ["objects_0.5", "objects", 0.5, 4, 16, 4],
        ["views_0.25", "views", 0.25, 8, 8, 8],
        ["all_1.0", "all", 1.0, 8, 32, 2],
    ]
    assert (facts["epochs"] * (facts["images"] // 8) == STEPS).all()
    assert trained == ["on objects_0.5"] * 4 + ["on views_0.25"] * 8 + ["on all_1.0"] * 2


def test_it_is_tested_on_clean_images_pose_plane_and_clutter_only(whole: pd.DataFrame) -> None:
    assert list(whole.columns) == [*FACTS, *evaluation.COLUMNS]
    tested = {
        ("clean", "none"),
        ("pose", "azimuth"),
        ("plane", "rotation"),
        ("clutter", "distractors"),
    }
    for _, part in whole.groupby("model"):
        assert set(zip(part["shift"], part["factor"], strict=True)) == tested
        assert len(part) == 2 * len(tested)


def test_epochs_make_up_for_missing_images() -> None:
    assert epochs(12, 32, 1000, 4000) == 48  # 31 and 125 steps an epoch
    assert epochs(12, 32, 4000, 4000) == 12
    assert epochs(2, 10, 3, 40) == 8  # fewer images than a batch are one step


def test_after_an_interruption_only_the_rest_is_trained(
    folder: Path, whole: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        first = counted(patch, stop)
        with pytest.raises(KeyboardInterrupt):
            run(folder)
    assert first == ["on objects_0.5"] * 4 + ["on views_0.25"] * 2
    assert not files.LEARNING_CURVE.exists()
    second = counted(monkeypatch)
    # The third epoch on the views was kept before the bar was told of it.
    pd.testing.assert_frame_equal(run(folder), whole)
    assert second == ["on views_0.25"] * 5 + ["on all_1.0"] * 2
    assert not (files.WORK / "learning_curve").exists()


def test_a_training_on_other_images_is_not_taken_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(done: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        counted(patch, stop)
        with pytest.raises(KeyboardInterrupt):
            run(folder)
    make_images(folder, seed=1)
    trained = counted(monkeypatch)
    run(folder)
    assert trained.count("on objects_0.5") == 4


def test_no_learning_curve_gives_the_columns_alone(folder: Path) -> None:
    table = run(folder, SETTINGS | {"learning_curve": None})
    assert table.empty
    assert list(table.columns) == [*FACTS, *evaluation.COLUMNS]


def test_a_training_that_diverges_is_named_with_its_key(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(*_: Any, **__: Any) -> None:
        raise training.DivergedError("training diverged in epoch 1 (loss nan); lower learning_rate")

    monkeypatch.setattr(training, "train", diverge)
    with pytest.raises(SystemExit) as end:
        stage.guard(lambda: run(folder))
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told == (
        "error: learning_curve.model.recipe: objects_0.5: training diverged in epoch 1 "
        "(loss nan); lower learning_rate\n"
    )
