"""Question 4: what does a fixed V1 front-end change, and which part of it does the work?"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from robustness.report import conditions, published
from robustness.report.context import ReportContext
from robustness.report.document import NOTHING, Answer, Cell, Figure, Section, Table, Text, columns
from robustness.report.model_table import Model
from robustness.report.palette import FRONTEND_COLOURS, FRONTENDS, OTHER_FRONTEND
from robustness.report.plots.dots import DotPanel, Row, dot_rows
from robustness.report.plots.lines import line_panels
from robustness.report.sections import league, noise, physiology, twins
from robustness.report.sections.registry import register
from robustness.report.wording import points
from robustness.scores import describe
from robustness.scores.conditions import SHIFTS
from robustness.scores.corruption import CATEGORIES

TITLE = (
    "What does a fixed V1 front-end change: learned against Gabor, and which part of it (filters, "
    "noise) does the work?"
)
METHOD = (
    "The stem is replaced at equal channels by a fixed Gabor bank with simple and complex cells and neuronal "
    "noise (vone); the rest is trained as before. The bank has the stem's stride, or the least one of the "
    "settings where the stem's is smaller; interpolation then gives the map its size back.",
    "Controls: the bank without noise (gabor), fixed random filters with the noise (random), the learned "
    "stem with the same noise (learned_noise), Gabor filters that are trained on (gabor_trained), the "
    "learned stem at the bank's stride (learned_coarse), noise on the pixels (image_noise), a blurred image "
    "(blurred).",
    "Rivals: push-pull inhibition in the learned stem (push_pull), wavelet scattering without and with noise "
    "(scattering, scattering_noise), divisive normalisation in the V1 block (divisive_normalisation), retina "
    "and LGN before the learned stem (subcortical) and before a V1 block (evnet).",
    "Differences are paired: both models see the same images, and their intervals resample the same objects. "
    "A model that did not learn the task (clean accuracy not significantly above the share of the most "
    "frequent class) is left out of means over architectures, and its twin with it. "
    "Gradients through noise are averaged over samples of it (EOT).",
)
CONTROLS = (
    ("vone", "learned", "The whole block in place of the learned stem"),
    ("gabor", "learned", "The Gabor bank without noise, in place of the learned stem"),
    ("learned_noise", "learned", "The noise alone, on the learned stem"),
    ("random", "learned", "Fixed random filters in place of the learned stem"),
    ("gabor_trained", "learned", "A bank of Gabor filters as the start of a trained stem"),
    ("learned_coarse", "learned", "The bank's stride alone, on the learned stem"),
    ("image_noise", "learned", "Noise on the pixels, before the learned stem"),
    ("push_pull", "learned", "Push-pull inhibition in the learned stem's first convolution"),
    ("scattering", "learned", "Wavelet scattering in place of the learned stem"),
    ("scattering_noise", "learned", "Wavelet scattering with noise, in place of the learned stem"),
    ("divisive_normalisation", "learned", "The whole block with divisive normalisation"),
    ("subcortical", "learned", "Retina and LGN before the learned stem"),
    ("evnet", "learned", "Retina, LGN and V1 block in place of the learned stem"),
    ("blurred", "learned", "A blurred image, before the learned stem"),
    ("vone", "gabor", "Noise added to the Gabor filters"),
    ("vone", "learned_coarse", "The whole block in place of a learned stem of its stride"),
    ("vone", "learned_noise", "The Gabor bank in place of learned filters, under the same noise"),
    ("vone", "random", "Gabor filters in place of random ones, both with noise"),
    ("vone", "image_noise", "The whole block in place of noise on the pixels"),
    ("vone", "push_pull", "The whole block in place of push-pull inhibition"),
    ("vone", "scattering", "The whole block in place of wavelet scattering"),
    ("scattering_noise", "scattering", "Noise added to the scattering coefficients"),
    ("vone", "scattering_noise", "The whole block in place of noisy scattering"),
    ("divisive_normalisation", "vone", "Divisive normalisation added to the V1 block"),
    ("evnet", "subcortical", "A V1 block in place of the learned stem, behind retina and LGN"),
    ("evnet", "vone", "Retina and LGN before a V1 block"),
)

FEW = 3
"""So many undecided comparisons have a sentence each; more share one."""

SHOWN = ("clean", "pose", "clutter", "corruption", "robust")
"""The measures of the figure; the table has the drops too."""


@register("frontend", number=4)
def write(context: ReportContext) -> Section:
    """The section of question 4."""
    blocks = [
        Text(METHOD, "Method.", "method"),
        _claims(context),
        league.table(context),
        _forest(context),
        *_controls_figures(context),
        _table(context),
        noise.figure(context, _with_controls(context) or context.models.architectures[-1:]),
        noise.table(context),
        noise.gradients(context),
        physiology.figure(context),
        physiology.table(context),
        published.protocol(context),
        published.table(context, 4),
    ]
    return Section("frontend", TITLE, 4, _answers(context), blocks)


def _pairs(context: ReportContext) -> list[twins.Pair]:
    """(vone, learned) of every architecture, canonical training."""
    pairs = context.models.pairs("frontend", "vone", "learned")
    return [(a, b) for a, b in pairs if a.training == "canonical"]


def _with_controls(context: ReportContext) -> list[str]:
    """The architectures that were run with more than the two usual front-ends."""
    plain = {"learned", "vone"}
    canonical = context.models.where(training="canonical")
    return list(dict.fromkeys(m.architecture for m in canonical if m.frontend not in plain))


def _controls(context: ReportContext) -> list[tuple[str, str, str]]:
    """The comparisons of :data:`CONTROLS`, and every other front-end against the learned stem."""
    others = dict.fromkeys(model.frontend for model in context.models if model.frontend not in FRONTENDS)
    return [*CONTROLS, *((name, "learned", f"{name} in place of the learned stem") for name in others)]


def _answers(context: ReportContext) -> list[Answer]:
    measures = twins.measures(conditions.reference_budget(context.inputs))
    area = twins.Measure(league.AREA, "robust area", "robust accuracy averaged over log ε")
    subject, pairs = "The V1 front-end (vone against learned)", _pairs(context)
    whole = [twins.sentence_of_many(context, subject, pairs, m) for m in (area, measures["clean"])]
    if not any(whole):
        return [Answer("No pair of a learned and a V1 front-end was compared.", "missing")]
    budgets = [
        twins.Measure(metric, "", f"at {epsilon:g}/255")
        for epsilon, metric in conditions.budgets(context.inputs, "worst_linf")
        if epsilon > 0
    ]
    shifted = [twins.Measure(f"{shift}/accuracy", "", f"under {words}") for shift, words in SHIFTS.items()]
    categories = [
        twins.Measure(
            f"corruption/category/{name}/accuracy", "", f"by {name.replace('digital', 'digital processing')}"
        )
        for name in CATEGORIES
    ]
    found = [
        whole[0],
        *twins.list_of_effects(context, "Its effect on robust accuracy (L∞)", pairs, budgets),
        whole[1],
        *twins.list_of_effects(context, "Its effect on accuracy", pairs, shifted),
        *twins.list_of_effects(context, "Its effect on accuracy under corruptions", pairs, categories),
        league.against_noise(context),
        *_control_answers(context, area),
        physiology.answer(context),
        *_shifted_answers(context),
    ]
    return [answer for answer in found if answer is not None]


def _shifted_answers(context: ReportContext) -> list[Answer]:
    """Whether the gain in robustness survives on images of other conditions, and in other norms."""
    found = []
    for metric, key in context.inputs.keys.items():
        shift, _, factor = key.factor.removesuffix("_linf").partition("_")
        if (key.shift, key.statistic) == ("attack", "robust_accuracy") and factor and key.level != "0":
            noun = describe(key).title
            if shift == "patch":
                noun = f"robust accuracy to a patch of {factor} × {factor} pixels beside the object"
            found.append(
                twins.sentence_of_many(
                    context, "The V1 front-end", _pairs(context), twins.Measure(metric, noun, noun)
                )
            )
    return [answer for answer in found if answer is not None]


def _control_answers(context: ReportContext, robust: twins.Measure) -> list[Answer]:
    """One sentence per control: of one architecture, which it names, or the mean over those that have it.

    V1 against noise on the pixels has a sentence of its own; what several leave undecided stands in one.
    """
    found, undecided = [], {}
    for first, second, subject in _controls(context)[1:]:
        if (first, second) == (league.V1, league.NOISE):
            continue
        pairs = context.models.pairs("frontend", first, second)
        pairs = [pair for pair in pairs if pair[0].training == "canonical"]
        names = {pair[0].architecture for pair in pairs}
        told = f"{subject} ({names.pop()})" if len(names) == 1 else subject
        answer = twins.sentence_of_many(context, told, pairs, robust)
        effect = twins.effect_of(context, pairs, robust.metric) if len(pairs) > 1 else None
        if answer is not None and answer.status == "undecided" and effect is not None:
            undecided[told] = effect, answer
        elif answer is not None:
            found.append(answer)
    if len(undecided) > FEW:
        effects = [(told, effect) for told, (effect, _) in undecided.items()]
        return [*found, twins.undecided(effects, robust.noun)]
    return [*found, *(answer for _, answer in undecided.values())]


CLAIMS = (
    (
        "White-box robustness rises",
        "+34.7 points, mean of L∞ 1/1020 and 1/255, L2, L1",
        "learned",
        league.AREA,
        "higher",
    ),
    ("Clean accuracy falls a little", "−3.9 points", "learned", "clean/accuracy", "lower"),
    ("Accuracy under corruptions rises", "+1.2 points", "learned", "corruption/accuracy", "higher"),
    ("Noise adds to the filters' robustness", "yes", "gabor", league.AREA, "higher"),
    ("Filters add to the noise's robustness", "yes", "learned_noise", league.AREA, "higher"),
)
"""What Dapello et al. (2020) say of the V1 block on ImageNet and ResNet-50: claim, figure, the front-end that
it is compared with, our metric, and the direction."""


def _claims(context: ReportContext) -> Table | None:
    """The claims of the VOneNet paper beside our effects."""
    rows = []
    for claim, published_value, other, metric, direction in CLAIMS:
        effect = context.inputs.effect("frontend", "vone", other, "canonical", metric)
        if effect is None:
            verdict, ours, over = "not tested here", NOTHING, NOTHING
        else:
            words = {direction: "reproduced", "undecided": "undecided"}
            verdict, ours = words.get(effect.verdict, "not reproduced"), points(effect)
            over = str(effect.architectures)
        tone = {"reproduced": "good", "not reproduced": "bad"}.get(verdict, "muted")
        rows.append(
            [Cell(claim), Cell(published_value), Cell(ours), Cell(over), Cell(verdict, verdict, tone)]
        )
    if all(row[2].text == NOTHING for row in rows):
        return None
    neural = ("Units respond as neurons of V1 do", "yes", NOTHING, NOTHING, "not testable here")
    rows.append([*map(Cell, neural[:-1]), Cell(neural[-1], neural[-1], "muted")])
    caption = (
        "What Dapello et al. (2020) report for the V1 block on ImageNet with ResNet-50, and the mean effect "
        "here, on other images, smaller networks and other attacks: directions can be compared, sizes "
        "cannot. Intervals (95 %) are over architectures and objects; for a single architecture, over "
        "objects alone."
    )
    head = columns("claim", "published", "here (vone less the other)", "architectures", "verdict")
    return Table("table-claims", caption, head, rows, small=True)


def _forest(context: ReportContext) -> Figure | None:
    pairs = _pairs(context)
    measures = twins.measures(conditions.reference_budget(context.inputs))
    panels = []
    for measure in (measures[name] for name in SHOWN if name in measures):
        scores = [context.inputs.difference(a.name, b.name, measure.metric) for a, b in pairs]
        if any(score is not None for score in scores):
            scores.append(twins.effect_of(context, pairs, measure.metric))
            panels.append(DotPanel(f"{measure.label}\n(points)", scores, [(0, "no change")]))
    if not panels:
        return None
    rows = [Row(a.architecture, b, a.architecture) for a, b in pairs]
    rows.append(Row("mean", rows[0].model, "mean"))
    dot_rows(context.figure("frontend_differences"), rows, panels)
    return Figure.of(
        "frontend_differences",
        "What the V1 front-end changes: vone less learned of the same architecture, in points, on the "
        "same images, with 95 % intervals over objects; last the mean, with architectures and objects in its "
        "interval. A bar across the line: undecided. Right of the line is better.",
    )


def _controls_figures(context: ReportContext) -> list[Figure | None]:
    """Curves of each architecture that has few front-ends, and one figure of all that have more."""
    found = _with_controls(context)
    canonical = context.models.where(training="canonical")
    counts = {name: len({m.frontend for m in canonical if m.architecture == name}) for name in found}
    many = [name for name in found if counts[name] > league.MOST_CURVES]
    curves = [_controls_figure(context, name) for name in found if name not in many]
    return [*curves, league.figure(context, many)]


def _controls_figure(context: ReportContext, architecture: str) -> Figure | None:
    models = [m for m in context.models.of_architecture(architecture) if m.training == "canonical"]
    name = f"frontend_controls_{architecture}"
    colours = {model.frontend: OTHER_FRONTEND[0] for model in models} | FRONTEND_COLOURS
    if not draw_curve_sets(context, name, models, "frontend", colours):
        return None
    return Figure.of(
        name,
        f"The front-ends and their controls on {architecture}: worst-case robust accuracy over ε, "
        "accuracy over azimuth and over the number of distractors. Bands: 95 % intervals over objects. "
        "Dotted: chance.",
    )


def curve_sets(context: ReportContext, models: list[Model]) -> list[tuple[str, str, pd.DataFrame]]:
    """(title, axis label, curves) for attack, azimuth and distractors."""
    found = [("attack", "ε (L∞, 255ths)", conditions.attack_curves(context.inputs, models, "worst_linf"))]
    for shift, factor in (("pose", "azimuth"), ("clutter", "distractors")):
        curves = conditions.factor_curves(context.inputs, models, shift, factor)
        found.append((shift, conditions.axis_label(shift, factor), curves))
    return found


def draw_curve_sets(
    context: ReportContext, stem: str, models: list[Model], axis: str, colours: Mapping[str, str]
) -> bool:
    """Draw the three panels, one curve per front-end or training (``axis``); False without a curve."""
    names = {model.name: getattr(model, axis) for model in models}
    table = pd.concat(
        [
            curves.assign(panel=title, x_label=label, name=curves["model"].map(names))
            for title, label, curves in curve_sets(context, models)
            if len(curves)
        ]
        or [pd.DataFrame()]
    )
    if len(table):
        guess = conditions.chance(context.inputs)
        line_panels(context.figure(stem), table, colours, "accuracy (%)", guess)
    return len(table) > 0


def _table(context: ReportContext) -> Table | None:
    pairs = []
    for first, second, _ in _controls(context):
        pairs += [p for p in context.models.pairs("frontend", first, second) if p[0].training == "canonical"]
    order = list(dict.fromkeys([*FRONTENDS, *(model.frontend for model in context.models)]))
    pairs.sort(key=lambda pair: (order.index(pair[1].frontend), order.index(pair[0].frontend)))
    return twins.table(
        context,
        "table-frontend",
        "Paired differences between front-ends of the same architecture, in points, with 95 % "
        "intervals over objects. Grey: undecided (the interval includes 0). *: significant after Holm's "
        "correction over all pairs of the column (p ≤ 0.05).",
        pairs,
        twins.measures(conditions.reference_budget(context.inputs)).values(),
    )
