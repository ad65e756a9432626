"""What attributions say by the exact masks, within question 5: does a network look at the object, and do the
maps rank what really matters?"""

from __future__ import annotations

import numpy as np

from robustness.report.conditions import learned_the_task, over_architectures
from robustness.report.context import ReportContext
from robustness.report.document import Answer, Table
from robustness.report.inputs import Score
from robustness.report.model_table import Model
from robustness.report.wording import interval_plain, number, percent, points

STAGE = "probe/saliency/logits"
COLUMNS = (
    ("mask_area", "object's area"),
    ("gradient/mass", "gradient"),
    ("integrated/mass", "integrated"),
    ("smoothgrad/mass", "SmoothGrad"),
    ("guided/mass", "guided"),
    ("grad_cam/mass", "Grad-CAM"),
    ("grad_cam/ceiling_mass", "Grad-CAM's ceiling"),
    ("gradient/pointing", "gradient points at it"),
    ("integrated/pointing", "integrated points at it"),
    ("gradient/randomised", "random weights, gradient"),
    ("guided/randomised", "random weights, guided"),
    ("gradient/other_image", "another image, gradient"),
    ("integrated/completeness_error", "completeness error"),
)
EFFECTS = (
    ("distractor_share", "distractors' share of effects"),
    ("integrated/effect_rank", "rank of effects, integrated"),
    ("gradient_input/effect_rank", "gradient × input"),
    ("area/signed_effect_rank", "area (effects)"),
    ("gradient/effect_rank", "rank of sizes, gradient"),
    ("smoothgrad/effect_rank", "SmoothGrad"),
    ("guided/effect_rank", "guided"),
    ("grad_cam/effect_rank", "Grad-CAM"),
    ("area/effect_rank", "area (sizes)"),
)
CAPTION = (
    "How much of an attribution lies on the object, by its exact mask: relevance mass by method, beside the "
    "object's share of the image (chance) and what the best map of Grad-CAM's grid could have; how often the "
    "highest pixel lies on it or within four pixels of 64. Random weights: rank correlation of a map with "
    "that of the same network, its weights in random order (Adebayo et al. 2018), beside that of the maps "
    "of two images: a map that stays as it was tells of the image alone. 95 % intervals over images."
)
EFFECTS_CAPTION = (
    "Attributions against interventions, in scenes with distractors: each distractor gives way to what is "
    "behind it, by its exact mask, and the object to the median colour of the background; the effect of a "
    "part is the label's logit less that without it. Left the distractors' share of the sum of the effects' "
    "sizes. Then Spearman's correlation over the parts of a scene between what a map has on a part and the "
    "part's effect: with its sign for the methods that have one, its size for the others, each beside the "
    "area of the part, which knows nothing of the network. Means with 95 % intervals over images, one an "
    "object; scenes of three parts or more."
)


def effects_table(context: ReportContext) -> Table | None:
    """How well the maps rank the effects of the parts of cluttered scenes, one row per model."""
    known = [
        (title, metric)
        for name, title in EFFECTS
        if (metric := f"{_cluttered(context)}/{name}") in context.inputs.keys
    ]
    return context.score_table("table-effects", EFFECTS_CAPTION, known, html_only=True)


def effects_answer(context: ReportContext) -> Answer | None:
    """What distractors add to the score of learned nets, and which maps rank the effects better than the
    parts' area does: means over architectures, with Student's intervals."""
    stage = _cluttered(context)
    models = [
        model
        for model in context.models.where(frontend="learned", training="canonical")
        if learned_the_task(context.inputs, model)
        and context.score_of(model, f"{stage}/distractor_share") is not None
    ]
    if len(models) < 2:
        return None
    told = []
    for method, words, control in (
        ("integrated", "integrated gradients rank the effects", "signed_effect_rank"),
        ("gradient", "the gradient ranks their sizes", "effect_rank"),
    ):
        ranks: list[float] = []
        gains: list[tuple[Model, float]] = []
        for model in models:
            own = context.score_of(model, f"{stage}/{method}/effect_rank")
            area = context.score_of(model, f"{stage}/area/{control}")
            if own is not None and area is not None:
                ranks.append(own.value)
                gains.append((model, own.value - area.value))
        gain = over_architectures(gains)
        if gain.n < 2:
            return None
        told.append(
            f"{words} with ρ = {number(float(np.mean(ranks)))}, {interval_plain(gain)} above that of the "
            f"parts' area{_undecided(gain)}"
        )
    shares = [score.value for score, _ in context.ranked(f"{stage}/distractor_share", models)]
    share = f"{percent(float(np.mean(shares)))} %"
    change = _change_by_v1(context, f"{stage}/distractor_share")
    if change.n > 1:
        share += f" ({points(change)} with the V1 front-end{_undecided(change)})"
    return Answer(
        f"Taken out of the image in turn, distractors make up {share} of what the parts of a cluttered scene "
        f"change of the label's logit; {'; '.join(told)}. Means over {gain.n} architectures that "
        "learned the task, with learned stems."
    )


def _change_by_v1(context: ReportContext, metric: str) -> Score:
    """The difference of twins that learned the task, V1 front-end less learned: mean over architectures."""
    found: list[tuple[Model, float]] = []
    for vone, plain in context.models.pairs("frontend", "vone", "learned"):
        known = all(learned_the_task(context.inputs, model) for model in (vone, plain))
        a, b = context.score_of(vone, metric), context.score_of(plain, metric)
        if plain.training == "canonical" and known and a is not None and b is not None:
            found.append((plain, a.value - b.value))
    return over_architectures(found)


def _undecided(change: Score) -> str:
    """What follows a change whose interval includes 0."""
    return "" if change.low > 0 or change.high < 0 else " (undecided)"


def _cluttered(context: ReportContext) -> str:
    """What the effects in scenes with distractors begin with; "" if none were measured."""
    end = "/distractor_share"
    found = [m for m in context.inputs.keys if m.startswith(f"{STAGE}/") and m.endswith(end)]
    return found[-1].removesuffix(end) if found else ""


def answer(context: ReportContext) -> Answer | None:
    """How much of an attribution lies on the object, and what the V1 front-end changes of it: paired means
    over architectures, with Student's intervals."""
    told = []
    status, count = "undecided", 0
    for method, words in (("gradient", "the gradient"), ("integrated", "integrated gradients")):
        metric = f"{STAGE}/{method}/mass"
        learned = context.ranked(metric, context.models.where(frontend="learned", training="canonical"))
        change = _change_by_v1(context, metric)
        if not learned or change.n < 2:
            return None
        count = change.n
        mean = float(np.mean([score.value for score, _ in learned]))
        verdict = _undecided(change)
        status = status if verdict else "found"
        told.append(f"{percent(mean)} % of {words}, {points(change)} with the V1 front-end{verdict}")
    areas = [score.value for score, _ in context.ranked(f"{STAGE}/mask_area")]
    text = (
        f"On the object, {percent(float(np.mean(areas)))} % of the image, lie {' and '.join(told)} "
        f"(means over {count} architectures that learned the task with both)."
    )
    return Answer(text, status)
