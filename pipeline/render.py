"""Make the image set: ``python -m pipeline.render``."""

from __future__ import annotations

from pipeline import files, stage
from pipeline.params import Params


def render(params: Params) -> None:
    """Render the objects benchmark, or write the digits, as one image set."""
    if params.data.set == "objects":
        from robustness.data.objects import RenderSettings, render_objects

        settings = RenderSettings.from_mapping(
            params.data.render, image_size=params.data.image_size, seed=params.seed
        )
        render_objects(
            files.LIBRARY,
            files.CLASS_LIST,
            settings,
            files.IMAGES,
            workers=params.data.workers,
            progress=True,
        )
    else:
        from robustness.data.digits import build_digits

        build_digits(files.IMAGES, image_size=params.data.image_size, seed=params.seed)


if __name__ == "__main__":
    stage.run(render)
