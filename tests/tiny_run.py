"""A run of every stage small enough for tests: a made-up library of boxes, two small models, few images."""

from __future__ import annotations

import csv
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from pipeline.settings import load
from robustness.data.objects.class_list import CLASSES, COLUMNS
from robustness.data.objects.library import CATALOGUE

CATALOGUE_FILE = "Small.sh3f"
BOX = "".join(f"v {x} {y} {z}\n" for x in (0, 1) for y in (0, 1) for z in (0, 1)) + (
    "mtllib box.mtl\nusemtl paint\nf 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n"
)
OBJECTS = [(name, split) for name in CLASSES for split in ("train", "validation", "test")]
LISTED = [*OBJECTS, ("distractor", "train"), ("distractor", "test")]

LENET = {"family": "lenet", "architecture": "lenet5"}
PARAMS: dict[str, Any] = {
    "seed": 3,
    "device": "cpu",
    "threads": 1,
    "data": {
        "set": "objects",
        "image_size": 32,
        "library": None,
        "workers": 1,
        "render": {
            "training": ["canonical"],
            "train_per_class": 4,
            "validation_per_class": 1,
            "test_scenes": 1,
            "distractor_pool": 1,
            "factors": {"pose/azimuth": [90], "clutter/distractors": [2]},
            "sphere": None,
        },
    },
    "training": {
        "batch_size": 10,
        "epochs": 2,
        "learning_rate": 0.002,
        "weight_decay": 0.05,
        "label_smoothing": 0.1,
        "translate_pixels": 2,
    },
    "frontend": {"simple_channels": 4, "complex_channels": 4, "minimum_stride": 4},
    "evaluation": {"batch_size": 16, "conditions": {"corruption": {"contrast": [3]}}},
    "attack": {
        "images": 10,
        "batch_size": 10,
        "eot_samples": 1,
        "eval_samples": 2,
        "keep": 4,
        "noise_images": 2,
        "checks": {"samples": 2, "black_box_images": 2, "queries": 2, "near_points": 2},
        "norms": {"linf": {"epsilons": [1, 4], "suite": [{"pgd": {"steps": 2}, "square": {"steps": 2}}]}},
    },
    "probe": {"images": 10, "probes": {"filters": {}}},
    "statistics": {"resamples": 100},
    "learning_curve": {"model": LENET, "objects": [1.0], "views": [0.5]},
    "models": {
        "plain": LENET | {"frontend": "learned"},
        "noisy": LENET | {"frontend": "vone"},
    },
}

EACH = ("train", "evaluate", "attack", "probe")
# From the library, which stands there, to the collated tables; then all stages.
ORDER = ("render", "train", "evaluate", "attack", "probe", "transfer", "learning_curve", "collate")
ALL = ("fetch_objects", *ORDER, "report", "track")


def write_params(folder: Path, params: dict[str, Any] = PARAMS) -> Path:
    """params.yaml of a run; its path."""
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    return path


def write_library(folder: Path, **replaced: str | bytes | None) -> Path:
    """A library of one catalogue: a box for every object of LISTED, in proportions of its own.

    ``replaced``: other contents by model (``chair_train``) or, for ``catalogue``, of the list of models; more
    lines of a model's material (``chair_train_mtl``).
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["name=Small\n"]
    with zipfile.ZipFile(folder / CATALOGUE_FILE, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, split) in enumerate(LISTED, start=1):
            key = f"{name}_{split}"
            place = f"{key}/{key}.obj"
            size = {"width": 20 + 7 * number % 50, "height": 20 + 11 * number % 70, "depth": 30}
            entry = {"id": f"Maker#{key}", "name": key, "model": f"/{place}", "creator": "Maker"} | size
            lines += [f"{word}#{number}={value}\n" for word, value in entry.items()]
            content = replaced.get(key, BOX)
            if content is not None:
                archive.writestr(place, content)
            colour = f"{number % 3 / 2} {number % 5 / 4} {number % 7 / 6}"
            more = replaced.get(f"{key}_mtl", "")
            archive.writestr(f"{key}/box.mtl", f"newmtl paint\nKd {colour}\n{more}")
        catalogue = replaced.get("catalogue", "".join(lines))
        archive.writestr(CATALOGUE, catalogue)
        archive.writestr("LICENSE.TXT", "CC0 1.0")
    return folder


def write_class_list(path: Path) -> Path:
    """The class list of that library."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for name, split in LISTED:
            key = f"{name}_{split}"
            writer.writerow([f"Small/{key}", key, name, split, "", "Maker", "CC0 1.0"])
    return path


def run_stage(stage: str, model: str | None = None) -> None:
    """One stage in the current folder, for one model or, where it works model by model, for all."""
    module = import_module(f"pipeline.{stage}")
    work = getattr(module, stage)
    if stage not in EACH:
        work(load(module.READS))
        return
    for name in load(("models",)).models if model is None else [model]:
        work(load(module.READS, name), name)
