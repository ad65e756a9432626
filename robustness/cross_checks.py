"""What one section of a run's settings says of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robustness import frontends, models, weights
from robustness.data import on_disk
from robustness.data.objects.settings import RenderSettings
from robustness.data.settings import DataSettings
from robustness.devices import resolve
from robustness.errors import UserError, at, nearest
from robustness.models import TRAIN, ModelSettings
from robustness.training import Recipe


def check_sections(found: Mapping[str, Any]) -> None:
    """Check the sections of a run's settings (name → settings) against each other.

    Raises UserError, one line that names the key.
    """
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
            recipe.changed(model.recipe_changes)
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
