"""Every adapter on a tiny set in the exact form on disk, with the traps that each form has."""

from __future__ import annotations

import gzip
import hashlib
import json
import pickle
import shutil
from pathlib import Path
from urllib.error import URLError

import numpy as np
import photo_folders as make
import pytest
from PIL import Image
from torchvision.datasets import CIFAR10

from robustness.data import on_disk
from robustness.data.image_set import ImageSet
from robustness.data.on_disk.cifar import CLASSES, PYTHON
from robustness.data.on_disk.imagenet_classes import wnids
from robustness.errors import UserError


def build(name: str, folder: Path, place: Path | None, **settings: object) -> ImageSet:
    return on_disk.build(name, folder / "set", path=place, image_size=16, **settings)


def labels(images: ImageSet, folder: str) -> set[int]:
    """The labels of the images whose object lies in a folder."""
    mine = images.samples[images.samples["object"].str.startswith(f"{folder}/")]
    return set(mine["label"])


def test_imagenet_numbers_come_from_all_wnids(tmp_path: Path) -> None:
    root = tmp_path / "val"
    for number in (999, 7):
        make.photo(root / wnids()[number] / "a.JPEG")
    images = build("imagenet", tmp_path, root)
    assert labels(images, wnids()[7]) == {7}
    assert labels(images, wnids()[999]) == {999}
    assert "2 of 1000 classes" in (images.folder / "reading.json").read_text()
    make.photo(root / "n99999999" / "a.JPEG")
    with pytest.raises(UserError, match="n99999999"):
        build("imagenet", tmp_path, root)


def test_imagenet_v2_labels_are_numbers_not_an_order(tmp_path: Path) -> None:
    root = tmp_path / "imagenetv2-matched-frequency-format-val"
    for number in (2, 10, 999):  # as text, 10 comes before 2
        make.photo(root / str(number) / "a.jpeg")
    images = build("imagenet_v2", tmp_path, root)
    assert sorted(images.samples["label"]) == [2, 10, 999]
    assert all(labels(images, str(number)) == {number} for number in (2, 10, 999))
    make.photo(root / "1000" / "a.jpeg")
    with pytest.raises(UserError, match="1000 is not named by a number"):
        build("imagenet_v2", tmp_path, root)


@pytest.mark.parametrize("name", ["imagenet_a", "imagenet_r"])
def test_subsets_mask_other_outputs_and_take_the_same_clean_classes(name: str, tmp_path: Path) -> None:
    root, reference = tmp_path / name, tmp_path / "val"
    for number in (30, 6):
        make.photo(root / wnids()[number] / "x.jpg")
    for number in (6, 30, 31):
        make.photo(reference / wnids()[number] / "y.JPEG")
    images = build(name, tmp_path, root, reference=reference)
    assert on_disk.class_groups(images) == [[6], [30]]
    assert images.classes == [wnids()[6], wnids()[30]]
    clean = images.samples.iloc[images.rows(shift="clean")]
    assert sorted(clean["label"]) == [0, 1]  # class 31 is not in the set
    assert len(images.rows(shift="natural", factor=name)) == 2


def test_sketch(tmp_path: Path) -> None:
    make.photo(tmp_path / "sketch" / wnids()[3] / "s.JPEG")
    assert build("imagenet_sketch", tmp_path, tmp_path / "sketch").samples["label"].tolist() == [3]


@pytest.mark.parametrize("nested", [False, True])
def test_imagenet_c_flat_and_nested(nested: bool, tmp_path: Path) -> None:
    root = tmp_path / "c"
    for kind, corruption in (("noise", "shot_noise"), ("weather", "fog")):
        for severity in "135":
            place = root / kind / corruption if nested else root / corruption
            make.photo(place / severity / wnids()[1] / "v_01.JPEG")
    make.photo(tmp_path / "val" / wnids()[1] / "v_01.JPEG")
    images = build("imagenet_c", tmp_path, root, reference=tmp_path / "val")
    assert images.samples["object"].nunique() == 1  # one photograph under all its corruptions
    assert len(images.rows(shift="corruption", factor="fog", level=[1, 3, 5])) == 3
    assert len(images.rows(shift="clean")) == 1
    make.photo(root / "fogg" / "1" / wnids()[1] / "a.JPEG")
    with pytest.raises(UserError, match="fogg is no corruption"):
        build("imagenet_c", tmp_path, root)


def test_imagenet9_has_a_space_and_outputs_of_no_class(tmp_path: Path) -> None:
    root = tmp_path / "bg_challenge"
    for variant in ("original", "mixed_rand"):
        for name in ("00_dog", "02_wheeled vehicle"):
            make.photo(root / variant / "val" / name / "n0_1.JPEG")
    mapping = {str(number): -1 for number in range(1000)}
    mapping |= {str(number): number % 9 for number in range(100, 145)}
    (root / "in_to_in9.json").write_text(json.dumps(mapping))
    images = build("imagenet9", tmp_path, root)
    assert images.classes[2] == "wheeled vehicle"
    assert set(images.samples["label"]) == {0, 2}
    groups = on_disk.class_groups(images)
    assert len(groups) == 10
    assert all(mapping[str(output)] == number for number in range(9) for output in groups[number])
    assert len(groups[9]) == 955  # those of no class: an answer there is wrong
    assert len(images.rows(shift="clutter", factor="swap", level="mixed_rand")) == 2
    del mapping["5"]
    (root / "in_to_in9.json").write_text(json.dumps(mapping))
    with pytest.raises(UserError, match=r"in_to_in9\.json"):
        build("imagenet9", tmp_path, root)


def test_objectnet_numbers_sorted_labels_and_cuts_the_border(tmp_path: Path) -> None:
    root = make.objectnet(tmp_path / "objectnet-1.0")
    images = build("objectnet", tmp_path, root, policy="restricted")
    assert images.classes == ["Band Aid", "T-shirt"]
    # By sorted folders 419 would have been air_freshener's.
    assert on_disk.class_groups(images) == [[419], [610, 611]]
    assert (labels(images, "band_aid"), labels(images, "t_shirt")) == ({0}, {1})
    assert labels(images, "air_freshener") == set()
    assert np.abs(images.images[:].astype(int) - 128).max() <= 1  # nothing of the red border is left
    official = build("objectnet", tmp_path, root)
    assert len(on_disk.class_groups(official)[2]) == 997
    assert "official" in json.loads((official.folder / "reading.json").read_text())["policy"]


def test_objectnet_with_mappings_that_disagree(tmp_path: Path) -> None:
    root = make.objectnet(tmp_path / "objectnet-1.0")
    pairs = root / "mappings" / "imagenet_pytorch_id_to_objectnet_id.json"
    pairs.write_text(json.dumps({"419": 2, "610": 1}))  # numbered by sorted folders
    with pytest.raises(UserError, match="the mappings disagree"):
        build("objectnet", tmp_path, root)


def test_test_sets_are_refused_as_training_data() -> None:
    with pytest.raises(UserError, match="objectnet, its licence allows tests only"):
        on_disk.check("objectnet", "somewhere", trains=True)
    with pytest.raises(UserError, match="test images only"):
        on_disk.check("imagenet_v2", "somewhere", trains=True)
    on_disk.check("objectnet", "somewhere", trains=False)
    on_disk.check("cifar10", "somewhere", trains=True)


@pytest.mark.parametrize("packed", [False, True])
def test_smallnorb_header_and_views(packed: bool, tmp_path: Path) -> None:
    root = make.smallnorb(tmp_path / "norb")
    if packed:
        for path in list(root.glob("*.mat")):
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
            path.unlink()
    images = build("smallnorb", tmp_path, root)
    trained = images.samples[images.samples["split"] != "test"]
    assert len(trained) == 5 * 6  # the six familiar azimuths
    assert set(trained["role"]) == {"canonical"}
    test = images.samples[images.samples["split"] == "test"]
    assert (test["shift"] == "clean").sum() == 5 * 6
    assert set(test.loc[test["shift"] == "pose", "level"]) == {str(20 * k) for k in range(3, 15)}
    row = images.rows(split="test", label=2, level=60)
    assert images.images[row].reshape(-1).tolist() == [10 * 2 + 6] * (16 * 16 * 3)  # left camera, grey
    assert not set(test["object"]) & set(trained["object"])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda b: b[:-1], "bytes of data"),
        (lambda b: (0x1E3D4C52).to_bytes(4, "little") + b[4:], "packed matrix"),
        (lambda b: b[::-1], "no matrix of smallNORB"),
        (lambda b: b[:3], "no matrix of smallNORB"),
    ],
    ids=["short", "packed", "backwards", "cut"],
)
def test_smallnorb_files_that_are_none(damage, words: str, tmp_path: Path) -> None:
    root = make.smallnorb(tmp_path / "norb")
    path = next(root.glob("*training-cat.mat"))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=words):
        build("smallnorb", tmp_path, root)


def test_cifar10_planes_and_splits(tmp_path: Path) -> None:
    root = make.cifar10(tmp_path / "cifar-10-batches-bin")
    images = build("cifar10", tmp_path, root)
    assert images.samples["split"].value_counts().to_dict() == {"train": 90, "test": 20, "validation": 10}
    assert images.images[0, 0, 0].tolist() == [255, 0, 0]
    (root / "test_batch.bin").write_bytes(b"\0" * 3000)
    with pytest.raises(UserError, match="no whole number of images"):
        build("cifar10", tmp_path, root)


def test_cifar10_as_class_folders(tmp_path: Path) -> None:
    root = tmp_path / "cifar"
    for split, count in (("train", 10), ("test", 2)):
        for name in CLASSES:
            for number in range(count):
                make.photo(root / split / name / f"{number}.jpg")
    images = build("cifar10", tmp_path, root)
    assert images.classes == list(CLASSES)
    assert images.samples["split"].value_counts().to_dict() == {"train": 90, "test": 20, "validation": 10}
    assert labels(images, "test/frog") == {6}
    shutil.rmtree(root / "test" / "frog")
    shutil.rmtree(root / "train" / "frog")
    with pytest.raises(UserError, match="does not hold the ten classes"):
        build("cifar10", tmp_path, root)


def test_cifar10_as_torchvision_downloads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "cifar"
    (root / PYTHON).mkdir(parents=True)
    sums = {}
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"):
        pixels = np.zeros((20, 3, 32, 32), np.uint8)
        pixels[:, 0] = 255
        content = {
            "data": pixels.reshape(20, -1),
            "labels": [n % 10 for n in range(20)],
            "label_names": CLASSES,
        }
        (root / PYTHON / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((root / PYTHON / name).read_bytes()).hexdigest()
    with pytest.raises(UserError, match="is damaged"):  # not the published sums: nothing is unpickled
        build("cifar10", tmp_path, root)
    trained = [[name, sums[name]] for name in sums if name.startswith("data")]
    monkeypatch.setattr(CIFAR10, "train_list", trained)
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
    images = build("cifar10", tmp_path, root)
    assert images.samples["split"].value_counts().to_dict() == {"train": 90, "test": 20, "validation": 10}
    assert images.images[0, 0, 0].tolist() == [255, 0, 0]
    assert images.samples["label"].tolist() == [n % 10 for n in range(20)] * 6


def test_cifar10_that_cannot_be_downloaded_is_one_line_with_three_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(CIFAR10, "download", refused)
    with pytest.raises(UserError, match=r"binary version.*torchvision's download.*class folders"):
        build("cifar10", tmp_path, tmp_path / "cifar")
    assert not (tmp_path / "cifar").exists()


def test_cifar10_c_severities_stand_one_after_the_other(tmp_path: Path) -> None:
    reference = make.cifar10(tmp_path / "cifar-10-batches-bin")
    images = build("cifar10_c", tmp_path, make.cifar10_c(tmp_path / "c"), reference=reference)
    for severity in range(1, 6):
        rows = images.rows(shift="corruption", factor="fog", level=severity)
        assert len(rows) == 20
        assert (images.images[rows] == severity).all()
    clean = images.samples.iloc[images.rows(split="test", shift="clean")]
    fog = images.samples.iloc[images.rows(factor="fog", level=1)]
    assert list(clean["object"]) == list(fog["object"])


def unusual(root: Path) -> Path:
    """A folder of two classes with every kind of file that real folders hold."""
    for name in ("ant", "bee"):
        make.photo(root / "test" / name / "rgb.jpg")
    place = root / "test" / "ant"
    Image.new("L", (20, 50), 77).save(place / "grey.png")
    Image.new("CMYK", (50, 20), (0, 255, 255, 0)).save(place / "cmyk.jpg")
    Image.fromarray(np.full((30, 30), 77 * 256 + 5, np.uint16)).save(place / "deep.png")
    Image.new("RGBA", (30, 30), (0, 0, 0, 0)).save(place / "alpha.png")
    coloured = Image.new("P", (30, 30), 0)
    coloured.putpalette([255, 0, 0, 0, 0, 255])
    coloured.save(place / "palette.png")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(place / "cut.jpg")
    (place / "cut.jpg").write_bytes((place / "cut.jpg").read_bytes()[:1500])
    (place / "text.jpg").write_text("not an image")
    return root


def test_unusual_files_are_read_counted_and_told(tmp_path: Path) -> None:
    images = build("image_folder", tmp_path, unusual(tmp_path / "folder"))
    reading = json.loads((images.folder / "reading.json").read_text())
    assert reading["files"] == 9
    for kind in ("grey", "cmyk", "16-bit", "alpha", "palette", "truncated", "unreadable"):
        assert reading["kinds"][kind] == 1, kind
    assert {Path(path).name for path in reading["left_out"]} == {"cut.jpg", "text.jpg"}
    assert "9 images listed, 7 kept" in on_disk.summary(images)
    assert "cut.jpg" in on_disk.summary(images)
    values = {
        Path(name).stem: images.images[row].mean((0, 1)) for row, name in enumerate(images.samples["object"])
    }
    assert values["grey"] == pytest.approx([77, 77, 77], abs=1)
    assert values["deep"] == pytest.approx([77, 77, 77], abs=1)
    assert values["alpha"] == pytest.approx([255, 255, 255])
    assert values["cmyk"][0] > 200 > 60 > values["cmyk"][1]
    assert images.samples["sample"].tolist() == list(range(7))


def test_mixed_sizes_are_cropped_and_scaled_and_nothing_is_skipped_silently(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    sizes = [(1, 1), (300, 16), (16, 300), (16, 16), (640, 480)]
    for number, size in enumerate(sizes):
        for name, colour in (("ant", (200, 0, 0)), ("bee", (0, 0, 200))):
            make.photo(root / "test" / name / f"{number}.png", colour, size)
    # What is no image by its name, or lies outside the classes.
    (root / "test" / "ant" / "notes.txt").write_text("to do")
    (root / "test" / "ant" / "moving.gif").write_text("GIF89a")
    make.photo(root / "test" / "stray.png")
    make.photo(root / "elsewhere" / "ant" / "more.png")
    images = build("image_folder", tmp_path, root)
    assert images.images.shape == (10, 16, 16, 3)
    for label, colour in enumerate(((200, 0, 0), (0, 0, 200))):
        assert (images.images[images.rows(label=label)] == colour).all()
    (note,) = json.loads((images.folder / "reading.json").read_text())["notes"]
    assert note.startswith("4 files in the folder are no part of the set (elsewhere/ant/more.png")
    assert note in on_disk.summary(images)


def test_a_class_without_images_is_one_line(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    make.photo(root / "train" / "ant" / "a.png")
    (root / "train" / "bee").mkdir()
    with pytest.raises(UserError, match=r"train/bee: a class without an image; remove or fill it"):
        build("image_folder", tmp_path, root)


SETS = {
    "imagenet_samples": lambda root: None,
    "image_folder": lambda root: unusual(root),
    "imagenet": lambda root: make.photo(root / wnids()[3] / "a.JPEG").parents[1],
    "imagenet_sketch": lambda root: make.photo(root / wnids()[3] / "a.JPEG").parents[1],
    "imagenet_a": lambda root: make.photo(root / wnids()[3] / "a.JPEG").parents[1],
    "imagenet_r": lambda root: make.photo(root / wnids()[3] / "a.JPEG").parents[1],
    "imagenet_v2": lambda root: make.photo(root / "3" / "a.jpeg").parents[1],
    "imagenet_c": lambda root: make.photo(root / "fog" / "1" / wnids()[3] / "a.JPEG").parents[3],
    "imagenet9": lambda root: imagenet9(root),
    "objectnet": lambda root: make.objectnet(root),
    "smallnorb": lambda root: make.smallnorb(root),
    "cifar10": lambda root: make.cifar10(root),
    "cifar10_c": lambda root: make.cifar10_c(root),
}


def imagenet9(root: Path) -> Path:
    make.photo(root / "original" / "val" / "00_dog" / "a.JPEG")
    (root / "in_to_in9.json").write_text(json.dumps({str(n): n % 10 - 1 for n in range(1000)}))
    return root


@pytest.mark.parametrize("name", on_disk.DATA_SETS.names())
def test_every_set_tells_the_data_card_mapping_policy_and_licence(name: str, tmp_path: Path) -> None:
    images = build(name, tmp_path, SETS[name](tmp_path / "there"))
    metadata = dict(on_disk.metadata(images))
    assert list(metadata) == ["class mapping", "evaluation policy", "licence", "read from disk"]
    assert all(text.endswith((".", ")")) for text in metadata.values()), metadata
    own = name in ("image_folder", "smallnorb", "cifar10", "cifar10_c")
    assert ("set's own" in metadata["class mapping"]) == own
    assert len(metadata["evaluation policy"]) > 20
    assert len(metadata["licence"]) > 20


def test_a_class_that_would_be_lost_is_one_line(tmp_path: Path) -> None:
    root = unusual(tmp_path / "folder")
    (root / "test" / "bee" / "rgb.jpg").write_text("broken")
    with pytest.raises(
        UserError, match=r"no image of the class 'bee' can be read .*bee/rgb\.jpg is unreadable"
    ):
        build("image_folder", tmp_path, root)
    assert not (tmp_path / "set").exists()


def test_splits_must_agree(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    for split, name in (("train", "ant"), ("train", "bee"), ("val", "ant"), ("test", "bee")):
        make.photo(root / split / name / "a.png")
    images = build("image_folder", tmp_path, root)
    assert images.classes == ["ant", "bee"]
    assert set(images.samples["split"]) == {"train", "validation", "test"}
    notes = json.loads((images.folder / "reading.json").read_text())["notes"]
    assert any("test: no image of 1 of 2 classes" in note for note in notes)
    make.photo(root / "test" / "cat" / "a.png")
    with pytest.raises(UserError, match="cat: a class that"):
        build("image_folder", tmp_path, root)


def test_workers_do_not_change_a_byte(tmp_path: Path) -> None:
    root = tmp_path / "val"
    generator = np.random.default_rng(0)
    for number in range(300):
        path = root / "test" / f"k{number % 2}" / f"{number}.png"
        make.photo(path, tuple(int(v) for v in generator.integers(0, 255, 3)), (18, 16))
    one = build("image_folder", tmp_path / "one", root, workers=1)
    two = build("image_folder", tmp_path / "two", root, workers=2)
    assert (one.images[:] == two.images[:]).all()
    assert one.samples.equals(two.samples)
