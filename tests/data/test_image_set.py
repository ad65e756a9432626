"""The image set on disk: what is written is read, and what is half written is never seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from robustness.data.image_set import ImageSet, format_level
from robustness.errors import UserError

CLASSES = ["chair", "table"]


def samples(n: int = 4) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "split": "test",
            "role": "test",
            "object": [f"object {i // 2}" for i in range(n)],
            "label": [i % 2 for i in range(n)],
            "shift": "pose",
            "factor": "azimuth",
            "level": [0, 22.5, 90, 180][:n],
        }
    )


def write(folder: Path, table: pd.DataFrame | None = None) -> np.ndarray:
    table = samples() if table is None else table
    pixels = np.random.default_rng(0).integers(0, 256, (len(table), 8, 8, 3), dtype=np.uint8)
    with ImageSet.create(folder, len(table), 8, CLASSES) as writer:
        writer.images[:] = pixels
        writer.masks[:] = 1
        writer.finish(table)
    return pixels


def test_what_is_written_is_read(tmp_path: Path) -> None:
    pixels = write(tmp_path / "set")
    images = ImageSet.open(tmp_path / "set")
    assert images.classes == CLASSES
    assert len(images) == 4
    assert images.image_size == 8
    assert images.samples["sample"].tolist() == [0, 1, 2, 3]
    batch = images.batch([2, 0])
    assert batch.shape == (2, 3, 8, 8)
    np.testing.assert_allclose(batch.numpy(), pixels[[2, 0]].transpose(0, 3, 1, 2) / 255, atol=1e-7)
    assert images.labels([1, 2]).tolist() == [1, 0]
    assert isinstance(images.images, np.memmap)


def test_rows_by_value_list_and_numeric_level(tmp_path: Path) -> None:
    write(tmp_path / "set")
    images = ImageSet.open(tmp_path / "set")
    assert images.rows().tolist() == [0, 1, 2, 3]
    assert images.rows(level=22.5).tolist() == [1]
    assert images.rows(level=[0, "90"]).tolist() == [0, 2]
    assert images.rows(object="object 1", label=1).tolist() == [3]
    assert images.rows(split="train").tolist() == []
    with pytest.raises(UserError, match="no column 'colour'"):
        images.rows(colour=1)


def test_an_older_set_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    write(tmp_path / "set")
    write(tmp_path / "set", samples(2))
    assert len(ImageSet.open(tmp_path / "set")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_failure_leaves_the_older_set_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "set")
    with pytest.raises(RuntimeError), ImageSet.create(tmp_path / "set", 1, 8, CLASSES):
        raise RuntimeError("stop")
    assert len(ImageSet.open(tmp_path / "set")) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": [0, 1, 2, 0]}, "a label lies outside 0 to 1"),
        ({"role": "exam"}, "role 'exam' is none of"),
        ({"split": "dev"}, "split 'dev' is none of"),
    ],
)
def test_wrong_samples_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        write(tmp_path / "set", samples().assign(**change))
    assert not (tmp_path / "set").exists()


def test_a_table_that_lacks_a_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lacks level"):
        write(tmp_path / "set", samples().drop(columns="level"))


@pytest.mark.parametrize("name", ["images.npy", "samples.parquet", "classes.json", "masks.npy"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path / "set")
    path = tmp_path / "set" / name
    path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(UserError, match="a file is damaged"):
        ImageSet.open(tmp_path / "set")


def test_a_missing_set_says_which_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"images\.npy is missing"):
        ImageSet.open(tmp_path / "nowhere")


def test_levels_are_written_alike() -> None:
    assert [format_level(level) for level in (0, 30.0, 0.5, np.float32(0.25), "room", "30")] == [
        "0",
        "30",
        "0.5",
        "0.25",
        "room",
        "30",
    ]
