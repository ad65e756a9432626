"""What the last layer tells apart, and where shifts and attacks take its features, within question 5."""

from __future__ import annotations

import numpy as np

from robustness.report.context import ReportContext
from robustness.report.document import Answer, Figure
from robustness.report.pictures import probe_arrays
from robustness.report.probes.embedding import draw_maps
from robustness.report.wording import number, percent

STAGE = "probe/embedding/penultimate"
QUALITY = (
    ("knn_purity", "k-NN purity"),
    ("silhouette", "silhouette"),
    ("knn_purity_2d", "k-NN purity, 2-D"),
    ("trustworthiness_2d", "trustworthiness, 2-D"),
    ("explained_variance_pca", "explained by PCA-30"),
    ("other_class/clean", "nearest to another class, clean"),
)
MAPS_CAPTION = (
    "Clean test images placed by t-SNE of the penultimate features (PCA to 30 dimensions first), with "
    "learned stems and with the V1 front-end; colour and marker: class. Distances between far groups mean "
    "little; the HTML page compares models in numbers."
)
MOVES_CAPTION = (
    "Where a shift or an attack takes images in the map of the last layer: arrows, 16 at most, from an "
    "image's place to its place under the condition, in the colour of its class; thick: it ends nearest to "
    "the centre of another class. Above each map how far the median image moves in the space of the "
    "features, in mean distances between the centres of two classes, and how many of all end so. Images that "
    "are wrong already are not attacked. An arrow's length on the map means little. Shown: the most accurate "
    "learned model and its twin with the V1 front-end."
)
CAPTION = (
    "The last layer in numbers: share of the nearest neighbours in feature space that have the same "
    "class, mean silhouette of the classes (−1 to 1), the same share in the t-SNE plane, how far the "
    "plane keeps neighbours (trustworthiness), variance that 30 principal components explain; share of "
    "images that lie nearest to the centre of another class than their own, clean and under each condition, "
    "with 95 % intervals over images, and how far the condition moves the median image, in mean distances "
    "between the centres of two classes."
)


def columns(context: ReportContext) -> list[tuple[str, str]]:
    """(Metric of the stage, title) of the table: what every run has, and two of every condition."""
    found = [*QUALITY]
    for condition in _conditions(context):
        found += [
            (f"moved/{condition}", f"moved, {condition}"),
            (f"other_class/{condition}", f"nearest to another class, {condition}"),
        ]
    return found


def maps(context: ReportContext) -> Figure | None:
    """The maps of the last layer of every architecture, learned and V1 twins side by side."""
    place, models = context.inputs.pictures, context.models.grid()
    drawn = {m.name: arrays for m in models if (arrays := probe_arrays(place, m.name, "embedding"))}
    if not drawn:
        return None
    draw_maps(context.figure("embedding"), drawn, context.inputs.data.classes)
    return Figure.of("embedding", MAPS_CAPTION)


def answer(context: ReportContext) -> Answer | None:
    """How far conditions move the features of learned nets, and how often to another class."""
    learned = context.models.where(frontend="learned", training="canonical")
    told = []
    for condition in _conditions(context):
        moved = [score.value for score, _ in context.ranked(f"{STAGE}/moved/{condition}", learned)]
        share = [score.value for score, _ in context.ranked(f"{STAGE}/other_class/{condition}", learned)]
        if moved and share:
            told.append(
                f"{condition} by {number(float(np.mean(moved)))} ({percent(float(np.mean(share)))} %)"
            )
    clean = context.ranked(f"{STAGE}/other_class/clean", learned)
    if not told or len(clean) < 2:
        return None
    before = float(np.mean([score.value for score, _ in clean]))
    return Answer(
        "How far a condition moves the median image at the last layer of learned nets, in mean distances "
        f"between the centres of two classes (how many then lie nearest to another class's): "
        f"{', '.join(told)}. Unmoved, {percent(before)} % do (means over {len(clean)} models)."
    )


def _conditions(context: ReportContext) -> list[str]:
    start = f"{STAGE}/moved/"
    return [metric.removeprefix(start) for metric in context.inputs.keys if metric.startswith(start)]
