"""Question 2: how much does each model lose to viewpoint (in 3-D and in the plane), and to clutter?"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from robustness import shifts
from robustness.report import conditions, published
from robustness.report.context import ReportContext
from robustness.report.document import EMPTY, Answer, Cell, Figure, Section, Table, Text
from robustness.report.inputs import Score
from robustness.report.model_table import Model
from robustness.report.plots.dots import DotPanel, dot_rows, model_rows, scatters
from robustness.report.plots.heat_maps import sphere_maps
from robustness.report.plots.lines import curve_panels
from robustness.report.sections.registry import register
from robustness.report.shading import shaded
from robustness.report.wording import capital, loss, of, percent, signed
from robustness.scores.conditions import SHIFTS, view

TITLE = "How much does it lose to viewpoint (3-D pose, in-plane shifts), and to clutter?"
DOUBLE_DIGIT = 0.10
METHOD = (
    "One factor is changed at a time; object, light and seed stay the same at every level (paired), and the "
    "clean level is the clean image itself.",
    "A drop is clean accuracy less accuracy under the shift, in points: the mean over the levels of a "
    "factor, then over the factors of the shift. Background swaps and the view sphere are reported apart.",
    "Models whose clean accuracy is not significantly above chance are left out of sentences on "
    "drops: they have nothing to lose.",
)
MAIN = {
    "pose": ("azimuth",),
    "plane": ("roll", "rotation"),
    "clutter": ("distractors", "patches", "occlusion"),
}
"""The factor of each shift that gets curves of its own: the first of these that was measured."""

TABLES = {
    "pose": (
        ("drop (points)", "pose/drop"),
        ("relative (%)", "pose/relative_drop"),
        ("worst view (%)", "pose/worst_view_accuracy"),
        ("worst random view (%)", "pose/worst_random_accuracy"),
        ("sphere wrong (%)", "pose/pose_space_wrong"),
        ("flip rate (%)", "pose/flip_rate"),
    ),
    "plane": (("drop (points)", "plane/drop"), ("relative (%)", "plane/relative_drop")),
    "clutter": (
        ("drop (points)", "clutter/drop"),
        ("relative (%)", "clutter/relative_drop"),
        ("BG-gap (points)", "clutter/bg_gap"),
        ("background alone (%)", "clutter/background_reliance"),
        ("distractors, half lost", "clutter/n50"),
    ),
}
CAPTIONS = {
    "pose": "What a change of the camera's direction (azimuth, elevation) takes, with 95 % intervals over "
    "objects. Relative: share of the clean accuracy lost (left out where clean accuracy is not "
    "significantly above chance). Worst view: objects that are right at their own worst view of the dense "
    "sphere. Sphere wrong: share of directions, weighted by solid angle. Flip rate: share of neighbouring "
    "views with different answers.",
    "plane": "What a change in the image plane (roll, distance, position) takes, with 95 % intervals over "
    "objects.",
    "clutter": "What clutter takes, with 95 % intervals over objects. BG-gap: accuracy on backgrounds of the "
    "object's own class less that on random ones. Background alone: accuracy when the object is not "
    "there. Last column: number of distractors at which half of the accuracy above chance is lost (>: "
    "more than).",
}
SPHERES = 16


@register("shifting", number=2)
def write(context: ReportContext) -> Section:
    """The section of question 2."""
    blocks = [
        Text(METHOD, "Method.", "method"),
        _drops(context),
        _effective(context),
        *(_curves(context, shift) for shift in MAIN),
        _factors(context),
        _spheres(context),
        *(_table(context, shift) for shift in MAIN),
        _calibration(context),
        published.table(context, 2),
    ]
    answers = _mean_losses(context)
    answers += [answer for shift in SHIFTS for answer in _answers(context, shift)]
    answers += _worst_view(context)
    return Section("shift", TITLE, 2, answers, blocks)


def _mean_losses(context: ReportContext) -> list[Answer]:
    """What each shift takes from learned nets on average."""
    means = {
        words: effect
        for shift, words in SHIFTS.items()
        if (effect := context.inputs.effect("mean", "learned", "", "canonical", f"{shift}/drop")) is not None
    }
    if not means:
        return []
    lost = [f"{loss(effect)} to {words}" for words, effect in means.items()]
    count = next(iter(means.values())).architectures
    over = f"mean of {count} architectures" if count > 1 else "one architecture"
    return [Answer(f"Nets with a learned stem lose {', '.join(lost)} ({over}).")]


def _effective(context: ReportContext) -> Figure | None:
    """Accuracy under each shift against clean accuracy: who keeps more than that leads to expect?"""
    rows, lines = [], {}
    for shift, words in SHIFTS.items():
        known = [
            (model, clean.value, score.value)
            for model in context.models
            if (score := context.score_of(model, f"{shift}/accuracy")) is not None
            and (clean := context.score_of(model, "clean/accuracy")) is not None
        ]
        plain = [(x, y) for m, x, y in known if (m.frontend, m.training) == ("learned", "canonical")]
        if len(plain) < 5 or len({x for x, _ in plain}) < 2:
            continue
        slope, intercept = np.polyfit(*np.transpose(plain), 1)
        lines[shift] = (slope, 100 * intercept)
        spread = np.std([y - slope * x - intercept for x, y in plain], ddof=2)
        rest = [y - slope * x - intercept for m, x, y in known if m.frontend == "vone"]
        title = f"{words}: scatter {percent(spread)} points"
        if rest:
            title += f",\nV1 {signed(np.mean(rest))} off the line"
        labels = (title, "clean accuracy (%)", "accuracy under the shift (%)")
        rows += [(shift, *labels, model.name, 100 * x, 100 * y) for model, x, y in known]
    if not rows:
        return None
    table = pd.DataFrame(rows, columns=["pair", "title", "x_label", "y_label", "model", "x", "y"])
    scatters(context.figure("effective_robustness"), table, context.models, lines=lines)
    return Figure.of(
        "effective_robustness",
        "Effective robustness (Taori et al. 2020): accuracy under each shift against clean accuracy, one "
        "point per model, filled: learned stem. The line is fitted to learned stems with canonical "
        "training; models above it keep more than their clean accuracy predicts. Scatter: the "
        "standard deviation of these models about the line.",
    )


def _able(context: ReportContext, metric: str) -> list[tuple]:
    """(score, model) of the models that learned the task, largest first."""
    able = [model for model in context.models if conditions.learned_the_task(context.inputs, model)]
    return context.ranked(metric, able)


def _answers(context: ReportContext, shift: str) -> list[Answer]:
    drops = _able(context, f"{shift}/drop")
    if not drops:
        if shift not in MAIN:
            return []
        return [Answer(f"No {shift} drops of a model that learned the task are among the scores.", "missing")]
    large = [model for score, model in drops if score.low > DOUBLE_DIGIT]
    small = [model for score, model in drops if score.high < DOUBLE_DIGIT]
    open_ = len(drops) - len(large) - len(small)
    if len(drops) == 1:
        (score, model), status = drops[0], "found" if large or small else "undecided"
        return [Answer(f"{capital(SHIFTS[shift])}: {model.name} loses {loss(score)}.", status)]
    text = f"{capital(SHIFTS[shift])}: {of(len(large), len(drops), 'model')} lose significantly more than "
    text += "ten points"
    if small or open_:
        text += f" ({len(small)} less than ten, {open_} undecided)"
    (most, loser), (least, keeper) = drops[0], drops[-1]
    text += f": {loser.name} loses most, {loss(most)} of {_clean(context, loser)} % clean"
    text += f"; {keeper.name} least, {loss(least)} of {_clean(context, keeper)} % clean."
    return [Answer(text, "found" if large or small else "undecided")]


def _clean(context: ReportContext, model: Model) -> str:
    """What there is to lose."""
    return percent(context.score_of(model, "clean/accuracy").value)


def _worst_view(context: ReportContext) -> list[Answer]:
    scored = _able(context, "pose/worst_view_accuracy")
    if not scored:
        return []
    best, model = scored[0]
    clean = context.score_of(model, "clean/accuracy")
    text = (
        f"An adversary who may only move the camera leaves {model.name} "
        f"{loss(best).replace(' points', ' %')} of objects right at their worst view, the most of "
        f"{len(scored)} models (clean: {loss(clean).replace(' points', ' %')})."
    )
    return [Answer(text)]


def _drops(context: ReportContext) -> Figure | None:
    models = list(context.models)
    panels = []
    for shift in MAIN:
        scores = [context.score_of(model, f"{shift}/drop") for model in models]
        if any(score is not None for score in scores):
            panels.append(DotPanel(f"{shift} drop (points)", scores, [(DOUBLE_DIGIT, "ten points")]))
    if not panels:
        return None
    dot_rows(context.figure("shift_drops"), model_rows(models), panels)
    return Figure.of(
        "shift_drops",
        "What each model loses to each shift: clean accuracy less mean accuracy under "
        "the shift, in points, with 95 % intervals over objects. Right of the line the loss exceeds 10 "
        "points.",
        html_only=True,
    )


def _curves(context: ReportContext, shift: str) -> Figure | None:
    models = context.models.grid()
    for factor in MAIN[shift]:
        curves = conditions.factor_curves(context.inputs, models, shift, factor)
        if len(curves):
            break
    else:
        return None
    name = f"{shift}_{factor}"
    curve_panels(
        context.figure(name),
        curves,
        models,
        x_label=conditions.axis_label(shift, factor),
        y_label="accuracy (%)",
        chance=conditions.chance(context.inputs),
    )
    return Figure.of(
        name,
        f"Accuracy over {factor}: {shifts.get(f'{shift}/{factor}').description}. One panel per "
        "architecture; solid: learned stem, dashed: V1 front-end; grey: all other models. Bands: 95 % "
        "intervals over objects. Dotted: chance.",
    )


def _factors(context: ReportContext) -> Table | None:
    """What each factor alone costs each model: the overview of all factors."""
    factors = [
        (f"{key.factor} ({key.shift})", metric)
        for metric, key in context.inputs.keys.items()
        if (key.level, key.statistic) == ("", "drop") and f"{key.shift}/{key.factor}" in shifts.names()
    ]
    drops = [s.value for _, metric in factors for s, _ in context.ranked(metric)]
    most = max([DOUBLE_DIGIT, *drops])
    caption = (
        "What each factor costs alone: clean accuracy less mean accuracy over the factor's levels, in "
        "points. The darker, the more is lost. Intervals of all of them are among the scores of the "
        "HTML page."
    )
    cell = partial(_shaded_drop, most=most)
    table = context.score_table("table-factors", caption, factors, cell=cell)
    return table and replace(table, upright=len(factors) > 6)


def _shaded_drop(score: Score | None, most: float) -> Cell:
    if score is None:
        return EMPTY
    return shaded(Cell(percent(score.value, 0), score.value), score.value / most)


def _spheres(context: ReportContext) -> Figure | None:
    grids = {model.name: sphere_grid(context, model) for model in _for_spheres(context)}
    panels = {name: grid for name, grid in grids.items() if grid is not None}
    if not panels:
        return None
    sphere_maps(context.figure("view_sphere"), panels)
    return Figure.of(
        "view_sphere",
        "Accuracy over the view sphere: each cell is a camera direction, azimuth and elevation in degrees "
        "from the object's front and horizon. One scale for all that are shown; the others have their sphere "
        "on their card.",
    )


def sphere_grid(context: ReportContext, model: Model) -> pd.DataFrame | None:
    """Accuracies by elevation (index) and azimuth (columns), both in degrees, ascending.

    None where the model has no such scores or the sphere is no grid of two by two at least.
    """
    rows = [
        (*view(key.level)[::-1], score.value)
        for metric, key in context.inputs.keys.items()
        if (key.shift, key.factor, key.statistic) == ("pose", "sphere", "accuracy") and view(key.level)
        if (score := context.score_of(model, metric)) is not None
    ]
    grid = pd.DataFrame(rows, columns=["elevation", "azimuth", "value"])
    grid = grid.pivot(index="elevation", columns="azimuth", values="value")
    return grid if min(grid.shape) > 1 else None


def _for_spheres(context: ReportContext) -> list[Model]:
    grid = context.models.grid()
    learned = [model for model in grid if model.frontend == "learned"]
    return grid if len(grid) <= SPHERES else learned[:SPHERES]


def _calibration(context: ReportContext) -> Table | None:
    """Does a model know when it is wrong?"""
    known = [
        (title.format(words), f"{shift}/{statistic}")
        for statistic, title in (
            ("overconfidence", "overconfidence, {} (points)"),
            ("calibration_error", "ECE, {} (%)"),
            ("calibration_error_by_chance", "ECE by chance, {} (%)"),
            ("selective_accuracy", "surer half right, {} (%)"),
        )
        for shift, words in {"clean": "clean", **SHIFTS}.items()
        if statistic == "overconfidence" or shift == "clean"
    ]
    known += [
        (title.format(of), f"unknown/{of}/{statistic}")
        for statistic, title in (
            ("auroc", "no class, AUROC, {} (%)"),
            ("accepted", "accepted, {} (%)"),
        )
        for of in ("softmax", "energy")
    ]
    caption = (
        "Confidence, the largest softmax probability. Overconfidence: its mean less the accuracy, with 95 "
        "% intervals over objects. ECE: expected calibration error on clean images; by chance: what a "
        "perfectly calibrated model shows in as many images (mean and middle 95 %); only above that is it "
        "an error. Surer half: accuracy on the half of the clean images of which the model is surest. No "
        "class: objects of no class against clean images, by the softmax probability or by the energy; "
        "accepted: where 95 % of the clean images are."
    )
    known = [(title, metric) for title, metric in known if metric in context.inputs.keys]
    return context.score_table("table-calibration", caption, known, html_only=True)


def _table(context: ReportContext, shift: str) -> Table | None:
    known = [(title, metric) for title, metric in TABLES[shift] if metric in context.inputs.keys]
    return context.score_table(f"table-{shift}", CAPTIONS[shift], known, html_only=True)
