"""Question 7: is it the data or the architecture?"""

from __future__ import annotations

from robustness.report import conditions
from robustness.report.context import ReportContext
from robustness.report.document import Answer, Figure, Section, Table, Text
from robustness.report.palette import TRAINING_COLOURS
from robustness.report.sections import agreement, interventions, learning_curve, twins
from robustness.report.sections.frontend import draw_curve_sets
from robustness.report.sections.registry import register
from robustness.report.wording import percent

TITLE = "Is it the data or the architecture? (canonical, diverse and adversarial training of the same net)"
METHOD = (
    "The same architecture and front-end is trained three times: on canonical images (frontal views, plain "
    "backgrounds), on as many diverse ones (all views, clutter), and on canonical images under attack.",
    "Test images are the same; differences are paired and their intervals resample objects. Beside "
    "them stands the range over architectures under canonical training.",
    "All interventions (data, front-end, architecture) are shown on one axis, with their cost; a learning "
    "curve shows what more objects and more views bring.",
)
SUBJECTS = {
    "diverse": "Diverse in place of canonical training",
    "adversarial": "Adversarial in place of canonical training",
}


@register("training", number=7)
def write(context: ReportContext) -> Section:
    """The section of question 7."""
    shared, table = agreement.write(context)
    blocks = [
        Text(METHOD, "Method.", "method"),
        interventions.figure(context),
        interventions.cost(context),
        *(_figure(context, architecture, frontend) for architecture, frontend in _groups(context)),
        _table(context),
        learning_curve.figure(context),
        table,
    ]
    answers = _answers(context)
    if shared is not None:
        answers.insert(min(3, len(answers)), shared)
    return Section("training", TITLE, 7, answers, blocks)


def _pairs(context: ReportContext, training: str) -> list[twins.Pair]:
    return context.models.pairs("training", training, "canonical")


def _groups(context: ReportContext) -> list[tuple[str, str]]:
    """(architecture, front-end) of which several trainings are there."""
    pairs = [pair for training in SUBJECTS for pair in _pairs(context, training)]
    return list(dict.fromkeys((a.architecture, a.frontend) for a, _ in pairs))


def _answers(context: ReportContext) -> list[Answer]:
    spoken = twins.measures(conditions.reference_budget(context.inputs))
    first = {"diverse": ("pose", "plane", "clutter"), "adversarial": ("robust",)}
    leading, others = [], []
    for training, subject in SUBJECTS.items():
        pairs = _pairs(context, training)
        for held in dict.fromkeys(a.frontend for a, _ in pairs):
            own = [pair for pair in pairs if pair[0].frontend == held]
            words = subject if held == "learned" else f"{subject}, with front-end {held}"
            for name in first[training]:
                answer = twins.sentence_of_many(context, words, own, spoken[name]) if name in spoken else None
                leading += [answer] if answer is not None else []
            rest = [m for name, m in spoken.items() if name not in first[training] and not m.is_drop]
            others += twins.list_of_effects(context, f"{words} also gives", own, rest)
    more = learning_curve.answers(context)
    if not leading and not others:
        text = "Only one training is among the models, so data and architecture cannot be told apart."
        return [Answer(text, "missing"), *more]
    return [*leading, *interventions.answers(context), *more, *_ranges(context), *others]


def _ranges(context: ReportContext) -> list[Answer]:
    """How far the architectures lie apart under one training, to compare with the effect of training."""
    models = [
        model
        for model in context.models.where(training="canonical", frontend="learned")
        if conditions.learned_the_task(context.inputs, model)
    ]
    parts = []
    for metric, name in (("pose/accuracy", "under 3-D pose"), ("clutter/accuracy", "under clutter")):
        scored = context.ranked(metric, models)
        if len(scored) > 1:
            (high, last), (low, first) = scored[0], scored[-1]
            ends = (f"{percent(s.value)} % ({m.architecture})" for s, m in ((low, first), (high, last)))
            parts.append(f"{name} {' to '.join(ends)}")
    if not parts:
        return []
    listed = ", ".join(parts)
    text = f"For comparison, accuracy over architectures with learned stem and canonical training: {listed}."
    return [Answer(text)]


def _figure(context: ReportContext, architecture: str, frontend: str) -> Figure | None:
    own = context.models.of_architecture(architecture)
    models = [m for m in own if m.frontend == frontend and m.training in TRAINING_COLOURS]
    name = f"training_{architecture}_{frontend}"
    if not draw_curve_sets(context, name, models, "training", TRAINING_COLOURS):
        return None
    return Figure.of(
        name,
        f"{architecture} ({frontend} front-end) after canonical, diverse and adversarial training: "
        "worst-case robust accuracy over ε, accuracy over azimuth and over the number of distractors. "
        "Bands: 95 % intervals over objects. Dotted: chance.",
    )


def _table(context: ReportContext) -> Table | None:
    pairs = [pair for training in SUBJECTS for pair in _pairs(context, training)]
    return twins.table(
        context,
        "table-training",
        "Paired differences between trainings of the same model, in points, with 95 % intervals over "
        "objects. Grey: undecided. *: significant after Holm's correction over all pairs of the column (p ≤ "
        "0.05).",
        pairs,
        twins.measures(conditions.reference_budget(context.inputs)).values(),
    )
