"""What the stages after training read: the image set and a trained model."""

from __future__ import annotations

from pipeline import files
from robustness import models, weights
from robustness.data.image_set import ImageSet
from robustness.errors import UserError


def image_set() -> ImageSet:
    """The image set, which has clean test images: every stage after training looks at them."""
    images = ImageSet.open(files.IMAGES)
    if not len(images.rows(split="test", shift="clean")):
        raise UserError(f"image set {images.folder}: has no clean test images; make the set again")
    return images


def load_model(name: str) -> models.Classifier:
    """The model in the checkpoint of that id; one line if the file is no whole checkpoint."""
    return weights.load(files.weights(name), run_code=True)  # the stage train wrote it, as params.yaml says
