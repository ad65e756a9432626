"""Make the image set: ``python -m pipeline.render``."""

from __future__ import annotations

from pipeline import files, stage
from pipeline.settings import StageSettings
from robustness.data import digits, on_disk

READS = ("seed", "data")


def render(settings: StageSettings) -> None:
    """Render the objects benchmark, write the digits, or read a set from disk, as one image set."""
    data, seed = settings.data, settings.seed
    if data.set == "objects":
        from robustness.data.objects.benchmark import RenderSettings, render_objects

        how = RenderSettings.from_mapping(data.render, image_size=data.image_size, seed=seed)
        render_objects(
            files.LIBRARY, files.CLASS_LIST, how, files.IMAGES, workers=data.workers, progress=True
        )
    elif data.set in digits.SOURCES:
        digits.build_digits(files.IMAGES, source=data.set, image_size=data.image_size, seed=seed)
    else:
        images = on_disk.build(
            data.set,
            files.IMAGES,
            path=files.given(data.path),
            image_size=data.image_size,
            workers=data.workers,
            seed=seed,
            reference=files.given(data.reference),
            mapping=files.given(data.mapping),
            policy=data.policy,
        )
        print(f"{data.set}: {on_disk.summary(images)}")


if __name__ == "__main__":
    stage.run(render, READS)
