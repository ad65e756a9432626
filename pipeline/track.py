"""Show the results in MLflow: ``python -m pipeline.track``."""

from __future__ import annotations

from pathlib import Path

from pipeline import files, stage
from pipeline.params import Params
from robustness.tracking import TrackedModel
from robustness.tracking import track as track_models

QUESTIONS = """Which image classifier holds up when the viewpoint changes, when the background is cluttered,
when someone attacks it; does a fixed V1-like front-end help; and do pictures of what the network learned tell
us why?

1. How well does each architecture do on clean images?
2. How much does it lose to viewpoint, and to clutter?
3. How does it stand up to adversarial attack, and can that number be trusted?
4. What does a fixed V1 front-end change, and which part of it does the work?
5. What did the layers learn: first, last, intermediate?
6. Do the visualizations predict the robustness?
7. Is it the data or the architecture?
"""


def track(params: Params) -> None:
    """Make the MLflow store show the tables: one run a model. Equal results are skipped."""
    tables = {name: files.read_table(files.TABLES / f"{name}.parquet")
              for name in ("models", "scores", "histories")}  # fmt: skip
    tags = files.surroundings()
    shown = [
        TrackedModel(
            name=name,
            params=_params(params, name, tables["models"]),
            scores=_of(tables["scores"], name),
            history=_of(tables["histories"], name),
            files=_files(name),
            tags=tags,
        )
        for name in params.models
    ]
    outcome = track_models(
        shown,
        store=files.MLFLOW_STORE,
        artifacts=files.MLFLOW_ARTIFACTS,
        experiment=f"robustness on {params.data.set}",
        description=QUESTIONS,
        say=print,
    )
    digests = {model.name: model.digest() for model in shown}
    files.write_json({"digests": digests, "data": params.data.set}, files.TRACKED)
    counts = {what: list(outcome.values()).count(what) for what in sorted(set(outcome.values()))}
    print("MLflow: " + ", ".join(f"{count} {what}" for what, count in counts.items()))


def _of(table, name: str):
    return table[table["model"] == name].drop(columns="model")


def _params(params: Params, name: str, models) -> dict[str, object]:
    """The axes and the recipe of a model, flat."""
    axes = models.set_index("model").loc[name].to_dict()
    recipe = {f"recipe.{key}": value for key, value in params.recipe(name).model_dump().items()}
    return (
        axes | recipe | {"data": params.data.set, "image_size": params.data.image_size, "seed": params.seed}
    )


def _files(name: str) -> dict[str, Path]:
    """Artifact folder/name → file: the pictures and the weights of a model."""
    pictures = sorted((files.REPORTS / "figures" / name).glob("*"))
    return {f"figures/{path.stem}": path for path in pictures} | {"model": files.weights(name)}


if __name__ == "__main__":
    stage.run(track)
