"""All of params.yaml, checked once before a run: every section by the library's class, and what fits what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.settings import KEYS, of_params, value
from robustness.yaml_file import read_yaml
from robustness import frontends, models, weights
from robustness.data import on_disk
from robustness.data.objects.settings import RenderSettings
from robustness.data.settings import DataSettings
from robustness.devices import resolve
from robustness.errors import UserError, at, nearest
from robustness.models import TRAIN, ModelSettings
from robustness.training import Recipe


@dataclass(frozen=True)
class RunSettings:
    """What a run must know of its settings: threads of each stage, device, and the models by id."""

    threads: int | None
    device: str
    models: dict[str, ModelSettings]


def check(path: Path) -> RunSettings:
    """Read and check params.yaml. Raises UserError that names the key, the value and what is allowed."""
    values = read_yaml(path)
    with of_params():
        for key in values:
            if key not in KEYS:
                raise UserError(f"unknown key; {nearest(str(key), KEYS)}", str(key))
        found = {key: value(values, key) for key in KEYS}
        _check_together(found)
    return RunSettings(found["threads"], found["device"], found["models"])


def _check_together(found: Mapping[str, Any]) -> None:
    """What one section says of another."""
    with at("device", strip="device: "):
        resolve(found["device"])
    data: DataSettings = found["data"]
    run = {f"models.{name}": model for name, model in found["models"].items()}
    if found["learning_curve"] is not None:
        run["learning_curve.model"] = found["learning_curve"].model
    with at("data"):
        trains = any(model.weights == TRAIN or model.fine_tune for model in run.values())
        settings = data.model_dump(include={"reference", "mapping", "policy"})
        on_disk.check(data.set, data.path, trains, **settings)
    families = {f"families.{name}": model for name, model in found["families"].items()}
    for place, model in (run | families).items():
        _check_model(place, model, data.image_size, found["training"], found["frontend"])
    if data.set == "objects":
        _check_rendering(data, run)
    attack = found["attack"]
    for place, names in (
        ("noise_models", attack.noise_models),
        ("variants.models", attack.variants and attack.variants.models),
    ):
        for name in names or ():
            if name not in found["models"]:
                known = nearest(name, found["models"])
                raise UserError(f"there is no model {name!r}; {known}", f"attack.{place}")


def _check_model(
    place: str, model: ModelSettings, image_size: int, recipe: Recipe, frontend: Mapping[str, Any]
) -> None:
    with at(place):
        if model.weights != TRAIN:
            weights.check(model)
        elif place.startswith("models.") and "frontend" not in model.model_fields_set:
            raise UserError(f"is missing; name one of {', '.join(frontends.names())}", "frontend")
        model.check_size(image_size)
        with at("recipe"):
            recipe = recipe.changed(model.recipe_changes)
            if recipe.low_resolution_epochs:
                with at("low_resolution_epochs"):
                    model.check_half_size(image_size)
    with at(f"frontend and {place}.frontend_options"):
        models.frontend_options(model.all_frontend_options(frontend))


def _check_rendering(data: DataSettings, run: Mapping[str, ModelSettings]) -> None:
    rendered = RenderSettings.from_mapping(data.render, image_size=data.image_size, seed=0).training
    for place, model in run.items():
        if model.training == "diverse" and "diverse" not in rendered:
            raise UserError(
                f"lacks diverse, which {place} is trained on; add it or set {place}.training: canonical",
                "data.render.training",
            )
