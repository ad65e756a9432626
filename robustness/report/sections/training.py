"""Question 7: is it the data or the architecture?"""

from __future__ import annotations

from robustness.report import conditions
from robustness.report.document import Answer, Block, Figure, Section, Table, Text, present
from robustness.report.drafting import Draft
from robustness.report.palette import TRAINING_COLOURS
from robustness.report.plots.lines import line_panels
from robustness.report.sections import agreement, learning_curve, measures, twins
from robustness.report.sections.frontend import training_panels
from robustness.report.wording import percent

TITLE = "Is it the data or the architecture? (canonical, diverse and adversarial training of the same net)"
METHOD = (
    "The same architecture and front-end is trained three times: on canonical images (frontal views, plain "
    "backgrounds), on as many diverse ones (all views, clutter), and on canonical images under attack.",
    "Test images are the same; differences are paired and their intervals resample objects. Beside "
    "them stands the range over architectures under canonical training.",
    "Every measure (data, front-end, architecture) stands on one axis with its price; a learning curve shows "
    "what more objects and more views bring.",
)
SUBJECTS = {
    "diverse": "Diverse in place of canonical training",
    "adversarial": "Adversarial in place of canonical training",
}


def write(draft: Draft) -> Section:
    """The section of question 7."""
    shared, table = agreement.write(draft)
    blocks: list[Block | None] = [
        Text(METHOD, "Method.", "method"),
        measures.figure(draft),
        measures.price(draft),
        *(_figure(draft, architecture, frontend) for architecture, frontend in _groups(draft)),
        _table(draft),
        learning_curve.figure(draft),
        table,
    ]
    answers = _answers(draft)
    if shared is not None:
        answers.insert(min(3, len(answers)), shared)
    return Section("training", TITLE, 7, answers, present(blocks))


def _pairs(draft: Draft, training: str) -> list[twins.Pair]:
    return draft.roster.pairs("training", training, "canonical")


def _groups(draft: Draft) -> list[tuple[str, str]]:
    """(architecture, front-end) of which several trainings are there."""
    pairs = [pair for training in SUBJECTS for pair in _pairs(draft, training)]
    return list(dict.fromkeys((a.architecture, a.frontend) for a, _ in pairs))


def _answers(draft: Draft) -> list[Answer]:
    spoken = twins.measures(conditions.reference_budget(draft.inputs))
    first = {"diverse": ("viewpoint", "clutter"), "adversarial": ("robust",)}
    leading, others = [], []
    for training, subject in SUBJECTS.items():
        pairs = _pairs(draft, training)
        for name, measure in spoken.items():
            answer = twins.sentence_of_many(draft, subject, pairs, measure)
            if answer is not None:
                (leading if name in first[training] else others).append(answer)
    more = learning_curve.answers(draft)
    if not leading and not others:
        text = "Only one training is among the models, so data and architecture cannot be told apart."
        return [Answer(text, "missing"), *more]
    return [*leading, *measures.answers(draft), *more, *_ranges(draft), *others]


def _ranges(draft: Draft) -> list[Answer]:
    """How far the architectures lie apart under one training: the yardstick for what training does."""
    models = [
        model
        for model in draft.roster.where(training="canonical", frontend="learned")
        if conditions.learned_the_task(draft.inputs, model)
    ]
    parts = []
    for metric, name in (("viewpoint/accuracy", "under viewpoint"), ("clutter/accuracy", "under clutter")):
        scored = [(draft.score_of(model, metric), model) for model in models]
        scored = sorted([(s.value, m.architecture) for s, m in scored if s is not None])
        if len(scored) > 1:
            (low, first), (high, last) = scored[0], scored[-1]
            parts.append(f"{name} {percent(low)} % ({first}) to {percent(high)} % ({last})")
    if not parts:
        return []
    listed = ", ".join(parts)
    text = f"The yardstick, accuracy over architectures with learned stem and canonical training: {listed}."
    return [Answer(text)]


def _figure(draft: Draft, architecture: str, frontend: str) -> Figure | None:
    models = [m for m in draft.roster.of_architecture(architecture) if m.frontend == frontend]
    panels = training_panels(draft, models)
    if not panels:
        return None
    name = f"training_{architecture}_{frontend}"
    line_panels(draft.figure(name), panels, TRAINING_COLOURS, "accuracy (%)")
    return Figure(
        f"fig-training-{architecture}-{frontend}".replace("_", "-"),
        draft.figure_link(name),
        f"{architecture} ({frontend} front-end) after canonical, diverse and adversarial training: "
        "worst-case robust accuracy over ε, accuracy over azimuth and over the number of distractors. "
        "Bands: 95 % intervals over objects. Dotted: chance.",
    )


def _table(draft: Draft) -> Table | None:
    pairs = [pair for training in SUBJECTS for pair in _pairs(draft, training)]
    return twins.table(
        draft,
        "table-training",
        "Paired differences between trainings of the same model, in points, with 95 % intervals over "
        "objects. Grey: undecided. *: stands after Holm's correction over all pairs of the column (p ≤ "
        "0.05).",
        pairs,
        twins.measures(conditions.reference_budget(draft.inputs)).values(),
    )
