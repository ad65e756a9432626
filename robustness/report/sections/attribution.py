"""What attributions say by the exact masks, within question 5: does a network look at the object?"""

from __future__ import annotations

import numpy as np

from robustness.report.conditions import learned_the_task
from robustness.report.context import ReportContext
from robustness.report.document import Answer
from robustness.report.inputs import Score
from robustness.report.wording import percent, points
from robustness.statistics.proportions import mean_bounds

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
CAPTION = (
    "How much of an attribution lies on the object, by its exact mask: relevance mass by method, beside the "
    "object's share of the image (chance) and what the best map of Grad-CAM's grid could have; how often the "
    "highest pixel lies on it or within four pixels of 64. Random weights: rank correlation of a map with "
    "that of the same network, its weights in random order (Adebayo et al. 2018), beside that of the maps "
    "of two images: a map that stays as it was tells of the image alone. 95 % intervals over images."
)


def answer(context: ReportContext) -> Answer | None:
    """How much of an attribution lies on the object, and what the V1 front-end changes of it: paired means
    over architectures, with Student's intervals."""
    told = []
    status, count = "undecided", 0
    for method, words in (("gradient", "the gradient"), ("integrated", "integrated gradients")):
        metric = f"probe/saliency/logits/{method}/mass"
        learned = context.ranked(metric, context.models.where(frontend="learned", training="canonical"))
        by_architecture: dict[str, list[float]] = {}
        for vone, plain in context.models.pairs("frontend", "vone", "learned"):
            known = all(learned_the_task(context.inputs, model) for model in (vone, plain))
            a, b = context.score_of(vone, metric), context.score_of(plain, metric)
            if plain.training == "canonical" and known and a is not None and b is not None:
                by_architecture.setdefault(plain.architecture, []).append(a.value - b.value)
        changes = [float(np.mean(own)) for own in by_architecture.values()]
        if not learned or len(changes) < 2:
            return None
        count = len(changes)
        mean = float(np.mean([score.value for score, _ in learned]))
        low, high = mean_bounds(np.array(changes), confidence=0.975)
        change = Score(float(np.mean(changes)), low, high)
        verdict = "" if low > 0 or high < 0 else " (undecided)"
        status = status if verdict else "found"
        told.append(f"{percent(mean)} % of {words}, {points(change)} with the V1 front-end{verdict}")
    areas = [score.value for score, _ in context.ranked("probe/saliency/logits/mask_area")]
    text = (
        f"On the object, {percent(float(np.mean(areas)))} % of the image, lie {' and '.join(told)} "
        f"(means over {count} architectures that learned the task with both)."
    )
    return Answer(text, status)
