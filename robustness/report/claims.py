"""What is claimed of one model, as JSON for other programs: each accuracy with all that it depends on."""

from __future__ import annotations

import json
import math
from typing import Any

from robustness.report import conditions
from robustness.report.context import ReportContext, trust
from robustness.report.model_table import Model
from robustness.scores import describe
from robustness.scores.conditions import SHIFTS

FORMAT = "robustness-claims-1"
NORMS = ("linf", "l2", "l1")


def claims(context: ReportContext, model: Model, image_set: str) -> str:
    """The claims of a model as JSON text; ``image_set``: the SHA-256 of the set's images.

    Accuracies are fractions with 95 % intervals over objects; ε of L∞ in 255ths, of L2 and L1 in image units.
    """
    metrics = [("clean/accuracy", {}), *((f"{shift}/accuracy", {}) for shift in SHIFTS)]
    for norm in NORMS:
        budgets = conditions.budgets(context.inputs, f"worst_{norm}")
        metrics += [(metric, {"norm": norm, "epsilon": epsilon}) for epsilon, metric in budgets]
    found = []
    for metric, how in metrics:
        score = context.score_of(model, metric)
        if score is None or not math.isfinite(score.value):
            continue
        label = describe(context.inputs.keys[metric])
        bounds = {"low": score.low, "high": score.high}
        found.append(
            {"metric": metric, "title": label.title, **how, "value": score.value, "objects": score.n}
            | {key: value for key, value in bounds.items() if math.isfinite(value)}
        )
    whole = context.inputs.whole_attacks
    params, card = context.inputs.params, context.inputs.data
    content: dict[str, Any] = {
        "format": FORMAT,
        "model": {
            "id": model.name, "architecture": model.architecture, "family": model.family,
            "front_end": model.frontend, "training": model.training, "weights_sha256": model.weights,
        },
        "data": {"set": card.name, "image_size": card.image_size, "classes": len(card.classes),
                 "images_sha256": image_set},
        "attack": {
            "images": int(whole.loc[whole["model"] == model.name, "sample"].nunique()),
            "suites": params.get("attack", {}).get("norms", {}),
            "checks": trust(context, model) or "not made",
        },
        "run": dict(context.inputs.environment) | {"seed": context.inputs.seed},
        "claims": found,
    }  # fmt: skip
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def digest(context: ReportContext) -> str:
    """The SHA-256 of the image set's pixels; "unknown" where the report has no images."""
    images = context.inputs.data.images
    return "unknown" if images is None else images.digest()
