"""Question 5: what did the layers learn: first, last, intermediate?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from robustness.report.context import ReportContext
from robustness.report.document import Answer, Figure, Gallery, Picture, Section, Table, Text
from robustness.report.model_table import Model
from robustness.report.plots.lines import depth_panels
from robustness.report.probes.registry import PICTURES
from robustness.report.sections import attribution, cue_conflict, last_layer, likeness
from robustness.report.sections.registry import register
from robustness.report.wording import interval_plain, listed, number, of

TITLE = "What did the layers learn: first, last, intermediate?"
METHOD = (
    "First layer: the filters as pictures, a Gabor fit to each (R² in excess of random filters of the size; "
    "kernels of 3 × 3 are too small for one), "
    "dead filters, energy above the stride's Nyquist limit.",
    "Last layer: penultimate features, PCA to 30 dimensions, t-SNE to 2; models are compared by the "
    "numbers in the raw space. Intermediate: what excites units, what gradient ascent finds, what "
    "inversion keeps.",
    "Noise is frozen by seed for probes. Numbers of a layer are means over its units with intervals "
    "over units; every model's own pictures stand on its card.",
)
FIRST = (
    ("gabor_r2_excess", "Gabor R², excess"),
    ("gabor_r2", "Gabor R²"),
    ("gabor_r2_null", "R², random filters"),
    ("dead_share", "dead share"),
    ("alias_energy", "alias energy"),
    ("middle_band", "middle band"),
    ("orientation_selectivity", "orientation sel."),
    ("variance_entropy", "variance entropy"),
)

FEWEST_FILTERS = 8
"""Of fewer nothing is said in words: LeNet-5 has six."""


@register("layers", number=5)
def write(context: ReportContext) -> Section:
    """The section of question 5."""
    blocks = [
        Text(METHOD, "Method.", "method"),
        _gallery(context, "filters", _learned_and_bank(context), 6, FILTERS_CAPTION),
        _table(context, "table-filters", "probe/filters/stem", FIRST, FIRST_CAPTION),
        last_layer.maps(context),
        _gallery(context, "embedding_placed", _leaders(context), 1, last_layer.MOVES_CAPTION),
        _table(context, "table-embedding", last_layer.STAGE, last_layer.columns(context), last_layer.CAPTION),
        likeness.figure(context),
        cue_conflict.figure(context),
        cue_conflict.table(context),
        _gallery(context, "occlusion", _leaders(context)[:1], 1, OCCLUSION_CAPTION),
        _gallery(context, "activations", _leaders(context)[:1], 1, ACTIVATIONS_CAPTION),
        _gallery(context, "saliency", _leaders(context), 2, SALIENCY_CAPTION),
        _table(context, "table-attribution", attribution.STAGE, attribution.COLUMNS, attribution.CAPTION),
        attribution.effects_table(context),
        _gallery(context, "ascent", _leaders(context), 1, ASCENT_CAPTION),
        _table(context, "table-ascent", "probe/ascent/late", ASCENT, ASCENT_TABLE_CAPTION),
        _gallery(context, "inversion", _leaders(context), 2, INVERSION_CAPTION),
        _depth(context),
        *_other_probes(context),
    ]
    return Section("layers", TITLE, 5, _answers(context), blocks)


BANKS = ("vone", "gabor_trained", "random")
FILTERS_CAPTION = (
    "First-layer filters, each scaled to its own range; above each picture the model. With a fixed bank one "
    "model stands for all."
)
FIRST_CAPTION = (
    "The first layer in numbers: mean R² of a Gabor fit, of the same fit to random filters of the size, and "
    "the excess, (R² − random)/(1 − random), empty where a kernel of 3 × 3 is too small to tell; share of "
    "dead filters, share of spectral energy above the Nyquist limit of the stride, and more; 95 % intervals "
    "over filters where a number is a mean over filters."
)
ACTIVATIONS_CAPTION = (
    "What drives the units: one row per stage; for some channels the test images of largest activation, "
    "cut to the patch that the unit sees, and what a deconvnet projects back from them. The model: the most "
    "accurate learned one; those of all others are in the folder figures."
)
OCCLUSION_CAPTION = (
    "A grey square slides over the image: the image with the square, then the probability of the class "
    "and the strongest map of each stage with the square at every place, all on one scale, as a share of "
    "the value without the square. Below: the smallest share."
)
SALIENCY_CAPTION = (
    "Which pixels carry the answer, by method; one column per image. Where a network has no ReLU, guided "
    "back-propagation is the plain gradient. Grad-CAM looks at the deepest stage with a map of 8 × 8 or more."
)
ASCENT_CAPTION = (
    "Gradient ascent: one row per unit (stage and channel, or class), first the natural patch that drives "
    "it most, then what ascent finds under each regulariser; none is the control, sets 1 to 4 are "
    "Yosinski's (2015). Shown: the most accurate learned model and its twin with the V1 front-end; "
    "every other on its card."
)
ASCENT_TABLE_CAPTION = (
    "Gradient ascent at the late stage in numbers: activation reached over the largest that a natural "
    "image gives (above 1: stronger than any); path similarity of the preferred images of classes (1: they "
    "go through the stage as natural images of the class do; 0: as those of other classes; Geirhos et al. "
    "2024); how much of the activation survives small turns, shifts and "
    "zooms, without a regulariser and with the steadiest prior; its gain; share of units that answer to "
    "nothing."
)
INVERSION_CAPTION = (
    "Inverted representations: one row per stage; each image once, then reconstructions from its "
    "features, each from another start. What all starts agree on is what the stage keeps; a stem of few "
    "channels that pools keeps edges and places more than colours. Beside each row its depth and the "
    "relative error of the features, or that the objective was still falling at the last step allowed, "
    "and by how much over 20 steps. Models as above."
)
ASCENT = (
    ("none/activation_ratio", "activation, none"),
    ("best_prior/activation_ratio", "activation, prior"),
    ("none/path_similarity", "path, none"),
    ("best_prior/path_similarity", "path, prior"),
    ("none/stability", "survives, none"),
    ("best_prior/stability", "survives, prior"),
    ("best_prior/stability_gain", "gain"),
    ("dead_share", "dead share"),
)
DEPTH = (
    ("embedding", "knn_purity"),
    ("activations", "class_selectivity"),
    ("activations", "top_purity"),
    ("occlusion", "half_area"),
    ("ascent", "best_prior/activation_ratio"),
    ("ascent", "best_prior/stability_gain"),
    ("ascent", "best_prior/path_similarity"),
    ("inversion", "relative_error"),
    ("inversion", "label_consistency"),
    ("inversion", "variation"),
)
"""(probe, metric) that are drawn over depth, where at least two layers have them."""


def _other_probes(context: ReportContext) -> list[Gallery | Table | None]:
    """Pictures and all numbers of the probes that have no place of their own above."""
    blocks: list[Gallery | Table | None] = []
    keys = {metric: key for metric, key in context.inputs.keys.items() if key.shift == "probe"}
    for probe in sorted({key.factor for key in keys.values()} - set(PICTURES.names())):
        columns = [(f"{key.level} {key.statistic}", m) for m, key in keys.items() if key.factor == probe]
        blocks += [
            _gallery(context, probe, _leaders(context), 1, f"The probe {probe}; models as above."),
            context.score_table(f"table-{probe}", f"The probe {probe} in numbers, by layer.", columns),
        ]
    return blocks


def _answers(context: ReportContext) -> list[Answer]:
    answers = [_gabor_answer(context), cue_conflict.answer(context), attribution.answer(context)]
    answers += [attribution.effects_answer(context), last_layer.answer(context), likeness.answer(context)]
    answers += _trend_answers(context)
    answers.append(_ascent_answer(context))
    found = [answer for answer in answers if answer is not None]
    return found or [Answer("No probe numbers are among the scores.", "missing")]


def _gabor_answer(context: ReportContext) -> Answer | None:
    """How Gabor-like learned stems are, beside the fixed bank as its own test."""
    metric = "probe/filters/stem/gabor_r2_excess"
    learned = context.models.where(frontend="learned", training="canonical")
    scored = [(score, model) for score, model in context.ranked(metric, learned) if score.n >= FEWEST_FILTERS]
    if not scored:
        return None
    (best, top), (worst, bottom) = scored[0], scored[-1]
    text = (
        "Beyond what it explains of random filters of the size, a Gabor function explains the learned "
        f"first filters best in {top.name} (excess R² {interval_plain(best)})"
    )
    if len(scored) > 1:
        text += f" and least in {bottom.name} ({interval_plain(worst)})"
    bank = context.ranked(metric, context.models.where(frontend="vone"))
    if bank:
        text += f"; the fixed bank, as a test of the probe, has {number(bank[-1][0].value)} at least"
    return Answer(f"{text}.")


def _trend_answers(context: ReportContext) -> list[Answer]:
    """Whether a number rises or falls from a model's first to its last layer that has it."""
    answers = []
    for probe, metric, name in (
        ("activations", "class_selectivity", "The class selectivity of the units"),
        ("embedding", "knn_purity", "The k-NN purity of the features"),
        ("inversion", "relative_error", "The error of inverted features"),
        ("inversion", "label_consistency", "The share of inverted images that keep their label"),
    ):
        ends = []
        for model in context.models:
            line = depth_line(context, model, probe, metric)
            if len(line) > 1:
                ends.append((line[0], line[-1]))
        if ends:
            rises = sum(last > first for (_, first), (_, last) in ends)
            firsts, lasts = [first for (_, first), _ in ends], [last for _, (_, last) in ends]
            answers.append(
                Answer(
                    f"{name} is higher at the deepest probed stage than at the first in {rises} of "
                    f"{len(ends)} models: {number(min(firsts))} to {number(max(firsts))} at the first, "
                    f"{number(min(lasts))} to {number(max(lasts))} at the deepest."
                )
            )
    return answers


def _ascent_answer(context: ReportContext) -> Answer | None:
    """Whether ascent with a prior beats natural images and survives small motions better than without."""
    pairs = []
    for model in context.models:
        ratio = context.score_of(model, "probe/ascent/late/best_prior/activation_ratio")
        gain = context.score_of(model, "probe/ascent/late/best_prior/stability_gain")
        if ratio is not None and gain is not None:
            pairs.append((ratio.value, gain.value))
    if not pairs:
        return None
    stronger, steadier = sum(ratio > 1 for ratio, _ in pairs), sum(gain > 0 for _, gain in pairs)
    text = (
        "At the late stage gradient ascent with the best prior drives units beyond any natural image in "
        f"{of(stronger, len(pairs), 'model')}, and its images survive small motions better than those "
        f"without a prior in {of(steadier, len(pairs), 'model')}."
    )
    return Answer(text + _paths(context))


def _paths(context: ReportContext) -> str:
    """Whether the classes' preferred images take the paths of natural ones, as means over models."""
    means = {}
    for stage in ("early", "late"):
        metric = f"probe/ascent/{stage}/best_prior/path_similarity"
        found = [score.value for score, _ in context.ranked(metric, context.models)]
        if found:
            means[stage] = number(sum(found) / len(found))
    if len(means) < 2:
        return ""
    return (
        " In their path through the network (1: as natural images of a class are to each other, 0: as those "
        f"of other classes are to them) preferred images of classes score {means['early']} at the early "
        f"and {means['late']} at the late stage, as means over models."
    )


def depth_line(context: ReportContext, model: Model, probe: str, metric: str) -> list[tuple[float, float]]:
    """(relative depth, value) of a probe's number over a model's layers, ascending."""
    points = []
    for layer, depth in context.inputs.depths.get((model.name, probe), {}).items():
        score = context.score_of(model, f"probe/{probe}/{layer}/{metric}")
        if score is not None:
            points.append((depth, score.value))
    return sorted(points)


def _depth(context: ReportContext) -> Figure | None:
    """Panels of the numbers of ``DEPTH`` that at least one model has at two depths or more."""
    models = context.models.grid()
    rows = []
    for probe, metric in DEPTH:
        for model in models:
            line = depth_line(context, model, probe, metric)
            if len(line) > 1:
                title = f"{metric.replace('_', ' ').replace('/', ', ')} ({probe})"
                if metric.endswith("ratio"):  # one net far above the others would leave these a flat line
                    title, line = f"log10 of {title}", [(d, math.log10(v)) for d, v in line if v > 0]
                rows += [(title, model.name, depth, value) for depth, value in line]
    if not rows:
        return None
    table = pd.DataFrame(rows, columns=["panel", "model", "level", "value"])
    depth_panels(context.figure("depth"), table, models)
    return Figure.of(
        "depth",
        "Numbers of the probes over relative depth, one line per model: colour and marker: family; solid: "
        "learned stem, dashed: V1 front-end. Vertical axes have the unit of the number in the title.",
    )


def _leaders(context: ReportContext) -> list[Model]:
    """The most accurate learned model and its twin with the V1 front-end: for pictures of page width."""
    learned = context.models.where(frontend="learned", training="canonical") or context.models
    best = [model for _, model in context.ranked("clean/accuracy", learned)[:1]]
    return best + [a for a, b in context.models.pairs("frontend", "vone", "learned") if b in best][:1]


def _learned_and_bank(context: ReportContext) -> list[Model]:
    """Every learned stem, and of each bank of filters that a front-end fixes or starts from one model."""
    learned = context.models.where(frontend="learned", training="canonical")
    banks = {model.frontend: model for model in context.models if model.frontend in BANKS}
    return [*learned, *banks.values()]


def _gallery(
    context: ReportContext, stem: str, models: Sequence[Model], columns: int, caption: str
) -> Gallery | None:
    pictures = []
    for model in models:
        source = context.model_picture(model, stem)
        if source is not None:
            pictures.append(
                Picture(context.picture(source, f"{model.name}_{stem}", 1300 // columns), model.name)
            )
    return Gallery(f"fig-{stem}", caption, min(columns, len(pictures)), pictures) if pictures else None


def _table(
    context: ReportContext, name: str, prefix: str, metrics: Sequence[tuple[str, str]], caption: str
) -> Table | None:
    known = [(t, f"{prefix}/{m}") for m, t in metrics if f"{prefix}/{m}" in context.inputs.keys]
    missing = [title for metric, title in metrics if f"{prefix}/{metric}" not in context.inputs.keys]
    note = f" Not measured in this run: {listed(missing)}." if missing else ""
    return context.score_table(name, caption + note, known, html_only=True)
