"""Make the image set: ``python -m pipeline.render``."""

from __future__ import annotations

from pipeline import files, stage
from pipeline.params import Params
from robustness.data import photos


def render(params: Params) -> None:
    """Render the objects benchmark, write the digits, or read a set from disk, as one image set."""
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
    elif params.data.set in photos.ADAPTERS:
        data = params.data
        images = photos.build(
            data.set,
            files.IMAGES,
            path=files.given(data.path),
            image_size=data.image_size,
            workers=data.workers,
            seed=params.seed,
            **{key: files.given(value) if key in ("reference", "mapping") else value
               for key, value in params.set_settings().items()},
        )  # fmt: skip
        print(f"{data.set}: {photos.summary(images)}")
    else:
        from robustness.data.digits import build_digits

        build_digits(files.IMAGES, image_size=params.data.image_size, seed=params.seed)


if __name__ == "__main__":
    stage.run(render)
