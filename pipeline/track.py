"""Show the results in MLflow: ``python -m pipeline.track``."""

from __future__ import annotations

from pipeline import files, stage
from pipeline.settings import StageSettings
from robustness import tracking
from robustness.data.image_set import ImageSet
from robustness.provenance import provenance
from robustness.whole_files import read_table, write_json

READS = ("data.set", "data.image_size", "training", "models")


def track(settings: StageSettings) -> None:
    """Make the MLflow store show the tables: one run per model. Equal results are skipped."""
    axes, scores, histories = (
        read_table(files.TABLES / f"{name}.parquet") for name in ("models", "scores", "histories")
    )
    tags, axes, data = provenance(files.SOURCE, files.DVC_LOCK), axes.set_index("model"), settings.data
    images = tracking.TrackedImages(data.set, ImageSet.open(files.IMAGES).digest(), files.IMAGES)
    shown = []
    for name, model in settings.models.items():
        recipe = settings.training.changed(model.recipe_changes).model_dump()
        params = {"data": data.set, "image_size": data.image_size} | axes.loc[name].to_dict()
        params |= {f"recipe.{key}": value for key, value in recipe.items()}
        pictures = sorted((files.REPORTS / "figures" / name).glob("*"))
        shown.append(
            tracking.TrackedModel(
                name=name,
                params=params,
                scores=scores[scores["model"] == name].drop(columns="model"),
                history=histories[histories["model"] == name].drop(columns="model"),
                images=images,
                checkpoint=files.MODELS / name,
                files={f"figures/{path.stem}": path for path in pictures},
                tags=tags,
            )
        )
    tracking.track(
        shown,
        store=files.MLFLOW_STORE,
        artifacts=files.MLFLOW_ARTIFACTS,
        experiment=f"robustness on {data.set}",
        description=tracking.QUESTIONS,
        say=print,
    )
    write_json({"digests": {m.name: m.digest() for m in shown}, "data": data.set}, files.TRACKED)


if __name__ == "__main__":
    stage.run(track, READS)
