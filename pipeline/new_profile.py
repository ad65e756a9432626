"""Write a profile for trained models on a folder of images: ``robustness new-profile NAME``."""

from __future__ import annotations

import re
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from pipeline import files
from pipeline.check import check
from robustness.errors import UserError
from robustness.whole_files import whole

BASE = files.SOURCE / "profiles" / "photos.yaml"
"""Shifts, attacks and probes are this profile's."""


def new_profile(name: str, folder: str, image_size: int, weights: list[str]) -> Path:
    """The path of the new ``profiles/<name>.yaml``, which is checked as a run would check it.

    ``folder``: one subfolder per class, or ``train/`` and ``test/`` with these; ``weights``: as in a profile,
    ``timm:…``, ``python:…``. Raises UserError if there is such a profile, or the settings are wrong.
    """
    target = BASE.with_name(f"{name}.yaml")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"profile {name!r}: use lower-case letters, digits and _, a letter first")
    if target.exists():
        raise UserError(f"{target}: is there already; take another name, or edit it")
    if not Path(folder).expanduser().is_dir():
        raise UserError(f"{folder}: no such folder; name the one with a subfolder for each class")
    ids = model_ids(weights)
    round_trip = YAML(typ="rt")  # keeps comments
    round_trip.width = 200
    values = round_trip.load(BASE.read_text(encoding="utf-8"))
    values["data"].update({"set": "image_folder", "path": str(Path(folder).expanduser().resolve())})
    values["data"]["image_size"] = image_size
    values.yaml_set_start_comment(f"Trained models on the images of {folder}; keys: docs/settings.md.")
    values["models"] = CommentedMap(
        (name, {"weights": each}) for name, each in zip(ids, weights, strict=True)
    )
    with whole(target) as copy:
        with copy.open("w", encoding="utf-8") as stream:
            round_trip.dump(values, stream)
        check(copy)
    return target


def model_ids(weights: list[str]) -> list[str]:
    """Ids made of the names of weights: ``timm:resnet50.tv_in1k`` is resnet50. UserError for two alike."""
    ids = [_id(each) for each in weights]
    if len(set(ids)) < len(ids):
        raise UserError(f"two models would be called {max(ids, key=ids.count)}; give one of them alone")
    return ids


def _id(weights: str) -> str:
    """A model id made of the name of weights: ``timm:resnet50.tv_in1k`` is resnet50."""
    last = re.split(r"[:/]", weights.removesuffix(".safetensors"))
    name = last[1] if weights.startswith("python:") and len(last) > 1 else last[-1]
    made = re.sub(r"[^a-z0-9]+", "_", name.split(".")[0].lower()).strip("_")
    return made if re.match(r"[a-z]", made) else f"model_{made}"
