"""What a metric's name means in words: title, unit, and which direction is better."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple


class Label(NamedTuple):
    """``title`` in words; ``unit``: fraction, points (difference of fractions), ratio, 255ths, image units.

    ``better``: ``higher``, ``lower`` or ``neither`` (the number describes and does not rank).
    """

    title: str
    unit: str
    better: Literal["higher", "lower", "neither"]


_ATTACK_DISTANCE = {"linf": "255ths", "l2": "image units (L2)", "l1": "image units (L1)"}

# First match wins. Groups are put into the title.
_RULES: tuple[tuple[str, str, str, str], ...] = (
    (r"clean/accuracy", "accuracy on clean images", "fraction", "higher"),
    (
        r"viewpoint/worst_view_accuracy",
        "accuracy at each object's own worst view of the sphere",
        "fraction",
        "higher",
    ),
    (r"viewpoint/all_views_accuracy", "objects right from every view of the sphere", "fraction", "higher"),
    (r"viewpoint/worst_bin_accuracy", "accuracy at the worst view of the sphere", "fraction", "higher"),
    (
        r"viewpoint/sphere_accuracy",
        "accuracy over the view sphere, weighted by solid angle",
        "fraction",
        "higher",
    ),
    (r"viewpoint/pose_space_wrong", "share of the view sphere that is wrong", "fraction", "lower"),
    (r"viewpoint/flip_rate", "neighbouring views that are classified differently", "fraction", "lower"),
    (r"clutter/bg_gap", "background gap: mixed same less mixed random", "points", "lower"),
    (r"clutter/background_reliance", "accuracy on the background alone", "fraction", "lower"),
    (
        r"clutter/n50",
        "distractors that take half of the accuracy above chance",
        "distractors",
        "higher",
    ),
    (r"clutter/visible_fraction/(.+)/accuracy", "accuracy at visible fraction {}", "fraction", "higher"),
    (
        r"clutter/clutter_fraction/(.+)/accuracy",
        "accuracy with {} of the image covered by distractors",
        "fraction",
        "higher",
    ),
    (r"corruption/mce", "mean corruption error, {normaliser} = 1", "ratio", "lower"),
    (r"corruption/relative_mce", "relative mean corruption error, {normaliser} = 1", "ratio", "lower"),
    (r"corruption/([^/]+)/ce", "corruption error under {}, {normaliser} = 1", "ratio", "lower"),
    (
        r"attack/worst_([^/]+)/eps_([^/]+)/robust_accuracy",
        "robust accuracy against the worst {} attack, ε = {}",
        "fraction",
        "higher",
    ),
    (
        r"attack/(.+)_([^_/]+)/eps_([^/]+)/robust_accuracy",
        "robust accuracy against {} ({}), ε = {}",
        "fraction",
        "higher",
    ),
    (r"attack/worst_([^/]+)/area", "mean worst-case accuracy over ε ({})", "fraction", "higher"),
    (r"attack/(.+)_([^_/]+)/median_distance", "median minimal distance, {} ({})", "", "higher"),
    (r"probe/([^/]+)/([^/]+)/(.+)", "{2} ({0} of {1})", "", "neither"),
    (r"(.+)/worst_accuracy", "accuracy at the worst level of {}", "fraction", "higher"),
    (r"(.+)/worst_drop", "accuracy lost at the worst level of {}", "points", "lower"),
    (r"(.+)/area", "mean accuracy over the range of {}", "fraction", "higher"),
    (r"([^/]+)/([^/]+)/([^/]+)/accuracy", "accuracy under {0} {1} {2}", "fraction", "higher"),
    (r"(.+)/accuracy", "mean accuracy under {}", "fraction", "higher"),
    (r"(.+)/relative_drop", "share of the clean accuracy lost to {}", "fraction", "lower"),
    (r"(.+)/retained", "share of the accuracy above chance kept under {}", "fraction", "higher"),
    (r"(.+)/drop", "accuracy lost to {}", "points", "lower"),
)


def describe(metric: str, *, normaliser: str = "our AlexNet") -> Label:
    """The label of a metric; ``normaliser`` says in words what corruption errors are divided by.

    A name of no known form is its own title.
    """
    for pattern, title, unit, better in _RULES:
        match = re.fullmatch(pattern, metric)
        if match:
            words = [group.replace("_", " ").replace("/", " ") for group in match.groups()]
            if metric.startswith("attack/") and not unit:
                unit = _ATTACK_DISTANCE.get(match.groups()[-1], "image units")
            if "/worst_" in metric and metric.endswith("median_distance"):
                words[0] = "worst of all attacks"
            if metric.startswith("attack/") and metric.endswith("robust_accuracy"):
                words[-2], words[-1] = _norm(match.groups()[-2]), _epsilon(*match.groups()[-2:])
            elif metric.startswith("attack/"):
                words[-1] = _norm(match.groups()[-1])
            return Label(title.format(*words, normaliser=normaliser), unit, better)
    return Label(metric, "", "neither")


def _norm(norm: str) -> str:
    return {"linf": "L∞", "l2": "L2", "l1": "L1"}.get(norm, norm)


def _epsilon(norm: str, epsilon: str) -> str:
    return f"{epsilon}/255" if norm == "linf" else epsilon
