"""Question 1: how well does each architecture do on clean images?"""

from __future__ import annotations

import numpy as np

from robustness.report import conditions, published
from robustness.report.conditions import chance, failed_the_task
from robustness.report.context import ReportContext
from robustness.report.document import Answer, Cell, Figure, Section, Table, Text, columns
from robustness.report.inputs import Score
from robustness.report.model_table import Model
from robustness.report.plots.dots import DotPanel, dot_rows, model_rows
from robustness.report.plots.heat_maps import confusions
from robustness.report.plots.lines import curve_panels
from robustness.report.sections.registry import register
from robustness.report.wording import (
    count_cell,
    interval_plain,
    listed,
    percent,
    plain_cell,
    points,
    score_cell,
    share,
)
from robustness.scores import compare

METRIC, BALANCED = "clean/accuracy", "clean/balanced_accuracy"
MOST_CLASSES = 30  # of which a confusion matrix can be read
METHOD = (
    "Accuracy is the share of clean test images whose largest logit is that of the right class; a "
    "stochastic model sees each image once, with one noise sample fixed for that image.",
    "No object (of photographs: no image) of the test set occurs in training or validation. Brackets are "
    "95 % percentile intervals of a bootstrap that draws whole objects.",
)


@register("clean", number=1)
def write(context: ReportContext) -> Section:
    """The section of question 1."""
    blocks = [
        Text(METHOD, "Method.", "method"),
        _figure(context),
        _table(context),
        _confusions(context),
        _histories(context),
        published.table(context, 1),
        published.sets(context),
    ]
    title = "How well does each architecture do on clean images?"
    return Section("clean", title, 1, _answers(context), blocks)


def _answers(context: ReportContext) -> list[Answer]:
    scored = context.ranked(METRIC)
    if not scored:
        return [Answer("No clean accuracies are among the scores.", "missing")]
    guess = chance(context.inputs)
    (best, winner), (worst, last) = scored[0], scored[-1]
    text = f"{winner.name} is the most accurate of {len(scored)} models on clean images: {share(best)}"
    text += f"; {last.name} the least: {share(worst)}." if len(scored) > 1 else "."
    most = conditions.majority(context.inputs)
    text += f" Guessing would give {percent(guess)} %, always naming the most frequent class "
    answers = [Answer(f"{text}{percent(most)} %.")]
    answers += _lead(context, scored) + _unknown(context)
    failed = [model.name for _, model in scored if failed_the_task(context.inputs, model)]
    if failed:
        answers.append(
            Answer(
                f"The interval of {listed(failed)} includes the share of the most frequent class: drops of "
                "such a model are not meaningful, and sentences on drops leave it out.",
                "doubtful",
            )
        )
    return answers


def _lead(context: ReportContext, scored: list[tuple[Score, Model]]) -> list[Answer]:
    """Whether the first differs from the second, on the clean images that both saw."""
    if len(scored) < 2:
        return []
    first, name = (model.name for _, model in scored[:2])
    table = context.inputs.predictions
    table = table[(table["shift"] == "clean") & table["model"].isin((first, name))]
    if table["model"].nunique() < 2:
        return []
    found = compare(
        table,
        first,
        name,
        metrics=METRIC,
        classes=len(context.inputs.data.classes),
        resamples=context.inputs.resamples,
        seed=context.inputs.seed,
    ).iloc[0]
    lead = points(Score(found["difference"], found["low"], found["high"]))
    if found["verdict"] == "undecided":
        return [
            Answer(f"Its lead over the second, {name}, is undecided: {lead} on the same images.", "undecided")
        ]
    return [Answer(f"It leads the second, {name}, by {lead} on the same images.")]


def _unknown(context: ReportContext) -> list[Answer]:
    """Whether a model notices objects of no class."""
    scored = context.ranked("unknown/energy/auroc")
    if not scored:
        return []
    best, winner = scored[0]
    middle = float(np.median([score.value for score, _ in scored]))
    text = (
        f"Of objects of no class {winner.name} is the least sure, by its energy: AUROC "
        f"{interval_plain(best)} (median of {len(scored)} models {middle:.2f}; 0.50 is guessing)."
    )
    taken = context.score_of(winner, "unknown/energy/accepted")
    if taken is not None:
        text += f" Where it accepts 95 % of the known objects, it accepts {share(taken)} of these."
    return [Answer(text)]


def _figure(context: ReportContext) -> Figure:
    models = list(context.models)
    scores = [context.score_of(model, METRIC) for model in models]
    panel = DotPanel("clean accuracy (%)", scores, [(chance(context.inputs), "chance")], (0, 1.02))
    dot_rows(context.figure("clean_accuracy"), model_rows(models), [panel])
    return Figure.of(
        "clean_accuracy",
        "Accuracy on clean test images of objects that no model has seen in training, by model, oldest "
        "family first. Colour and marker: family. Bars: 95 % intervals over objects. Dotted: chance.",
        html_only=True,
    )


def _confusions(context: ReportContext) -> Figure | None:
    """Which classes are taken for which, over the models with learned stem and over those with V1."""
    table = context.inputs.predictions
    table = table[table["shift"] == "clean"]
    groups = {}
    for frontend, title in (("learned", "learned stem"), ("vone", "V1 front-end")):
        names = [m.name for m in context.models.grid() if m.frontend == frontend]
        rows = table[table["model"].isin(names)]
        if len(rows):
            groups[f"{title}, {rows['model'].nunique()} models"] = rows
    if not groups or len(context.inputs.data.classes) > MOST_CLASSES:
        return None
    confusions(context.figure("confusions"), groups, context.inputs.data.classes)
    return Figure.of(
        "confusions",
        "What clean test images are taken for: of each class (row) the share (%) that is called by each name "
        "(column), over all models with canonical training and that front-end. Rows sum to 100.",
    )


def _histories(context: ReportContext) -> Figure | None:
    models = context.models.grid()
    table = context.inputs.histories.rename(columns={"epoch": "level"}).sort_values("level")
    table = table[table["model"].isin([model.name for model in models])]
    table = table[table.groupby("model")["level"].transform("size") > 1]
    if table.empty:
        return None
    curves = table.assign(value=100 * table["validation_accuracy"])[["model", "level", "value"]]
    curve_panels(
        context.figure("histories"), curves, models, x_label="epoch", y_label="validation accuracy (%)"
    )
    return Figure.of(
        "histories",
        "Validation accuracy over training, one panel per architecture; solid: learned stem, dashed: V1 "
        "front-end; grey: all other models. A curve that still rises at its end would gain from more "
        "epochs.",
    )


def _table(context: ReportContext) -> Table:
    rows = [
        [
            Cell(model.name, mono=True),
            Cell(model.lineage, model.year),
            Cell(model.frontend),
            Cell(model.training),
            plain_cell(model.width),
            count_cell(model.parameters),
            plain_cell(model.multiply_adds / 1e6, 1),
            count_cell(model.epochs),
            score_cell(context.score_of(model, METRIC)),
            score_cell(context.score_of(model, BALANCED)),
        ]
        for model in context.models
    ]
    caption = (
        "The models and their clean accuracy with 95 % intervals over objects. Width multiplies the "
        "published channel counts. Multiply-adds: of one image, convolutions, matrix products and Fourier "
        "transforms. Balanced: the mean over classes of the accuracy within a class."
    )
    accuracies = ["clean accuracy (%)", "balanced (%)"]
    numbers = ["width", "parameters", "multiply-adds (10⁶)", "epochs", *accuracies]
    head = columns("model", "family (year)", "front-end", "training", numbers=numbers)
    return Table("table-clean", caption, head, rows, small=True, html_only=True)
