"""What a score means in words: title, unit, and which direction is better."""

from __future__ import annotations

from typing import Literal, NamedTuple

from robustness.scores.conditions import SHIFTS, Key


class Label(NamedTuple):
    """``title`` in words; ``unit``: fraction, points (difference of fractions), ratio, cosine, 255ths, image
    units.

    ``better``: ``higher``, ``lower`` or ``neither`` (the number describes and does not rank).
    """

    title: str
    unit: str
    better: Literal["higher", "lower", "neither"]


_NORMS = {"linf": "L∞", "l2": "L2", "l1": "L1"}
_DISTANCES = {"linf": "255ths", "l2": "image units (L2)", "l1": "image units (L1)"}

# (shift, statistic) → label; ``{normaliser}`` and ``{of}`` (factor and level) are filled in.
_OF_A_SHIFT = {
    ("clean", "accuracy"): Label("accuracy on clean images", "fraction", "higher"),
    ("clean", "balanced_accuracy"): Label("mean accuracy of a class on clean images", "fraction", "higher"),
    ("pose", "worst_view_accuracy"): Label(
        "accuracy at each object's own worst view of the sphere", "fraction", "higher"
    ),
    ("pose", "worst_random_accuracy"): Label(
        "accuracy at each object's own worst random view", "fraction", "higher"
    ),
    ("pose", "all_views_accuracy"): Label(
        "objects right from every view of the sphere", "fraction", "higher"
    ),
    ("pose", "worst_bin_accuracy"): Label("accuracy at the worst view of the sphere", "fraction", "higher"),
    ("pose", "sphere_accuracy"): Label(
        "accuracy over the view sphere, weighted by solid angle", "fraction", "higher"
    ),
    ("pose", "pose_space_wrong"): Label("share of the view sphere that is wrong", "fraction", "lower"),
    ("pose", "flip_rate"): Label("neighbouring views that are classified differently", "fraction", "lower"),
    ("clutter", "bg_gap"): Label("background gap: mixed same less mixed random", "points", "lower"),
    ("clutter", "background_reliance"): Label("accuracy on the background alone", "fraction", "lower"),
    ("clutter", "n50"): Label(
        "distractors that take half of the accuracy above chance", "distractors", "higher"
    ),
    ("corruption", "mce"): Label("mean corruption error, {normaliser} = 1", "ratio", "lower"),
    ("corruption", "relative_mce"): Label(
        "relative mean corruption error, {normaliser} = 1", "ratio", "lower"
    ),
    ("corruption", "ce"): Label("corruption error under {of}, {normaliser} = 1", "ratio", "lower"),
    ("cue", "shape_share"): Label("shape among answers for shape or material", "fraction", "neither"),
    ("cue", "shape_answers"): Label("answers for the shape in a cue conflict", "fraction", "neither"),
    ("cue", "surface_answers"): Label("answers for the material in a cue conflict", "fraction", "neither"),
    ("unknown", "auroc"): Label("objects of no class told by {of}, AUROC", "fraction", "higher"),
    ("unknown", "accepted"): Label("objects of no class taken for known by {of}", "fraction", "lower"),
}
# Statistic → label, for every shift; ``{of}`` is shift, factor and level.
_OF_ALL_SHIFTS = {
    "overconfidence": Label("mean confidence less accuracy under {of}", "points", "neither"),
    "calibration_error": Label("expected calibration error under {of}", "fraction", "lower"),
    "calibration_error_by_chance": Label(
        "calibration error of a perfectly calibrated model under {of}", "fraction", "neither"
    ),
    "selective_accuracy": Label("accuracy on the surer half of the images under {of}", "fraction", "higher"),
    "worst_accuracy": Label("accuracy at the worst level of {of}", "fraction", "higher"),
    "worst_drop": Label("accuracy lost at the worst level of {of}", "points", "lower"),
    "area": Label("mean accuracy over the range of {of}", "fraction", "higher"),
    "accuracy": Label("mean accuracy under {of}", "fraction", "higher"),
    "relative_drop": Label("share of the clean accuracy lost to {of}", "fraction", "lower"),
    "retained": Label("share of the accuracy above chance kept under {of}", "fraction", "higher"),
    "drop": Label("accuracy lost to {of}", "points", "lower"),
}
_OF_A_LEVEL = {
    "visible_fraction": "accuracy at visible fraction {level}",
    "clutter_fraction": "accuracy with {level} of the image covered by distractors",
}


_VARIANTS = {
    "object": "to perturbations of the object",
    "background": "to perturbations of the background",
}


def describe(key: Key, *, normaliser: str = "our AlexNet") -> Label:
    """The label of a score; ``normaliser`` says in words what corruption errors are divided by.

    A score of no known kind has its name as title.
    """
    shift, factor, level, statistic = key
    if shift == "probe":
        return Label(_words(f"{statistic} ({factor} of {level})"), "", "neither")
    if shift == "attack":
        return _of_an_attack(factor, level, statistic)
    if (shift, statistic) in _OF_A_SHIFT:
        label, of = _OF_A_SHIFT[shift, statistic], (factor, level)
    elif statistic in _OF_ALL_SHIFTS:
        label = _OF_ALL_SHIFTS[statistic]
        of = (shift, factor, level) if factor else (SHIFTS.get(shift, shift),)
    else:
        return Label(str(key), "", "neither")
    title = label.title
    if (shift, factor) == ("corruption", "category"):
        of = (level, "corruptions")
    elif statistic == "accuracy" and level:
        title = _OF_A_LEVEL.get(factor, "accuracy under {of}")
    words = _words(" ".join(part for part in of if part))
    return label._replace(title=title.format(of=words, level=level, normaliser=normaliser))


def _of_an_attack(factor: str, level: str, statistic: str) -> Label:
    variant, _, norm = factor.rpartition("_")
    of = "" if variant == "worst" else f" {_VARIANTS.get(variant, 'under ' + _words(variant))}"
    name, size = _NORMS.get(norm, norm), f"{level}/255" if norm == "linf" else level
    if statistic == "robust_accuracy" and level == "0":
        return Label(f"accuracy on the attacked images{of}, not attacked ({name})", "fraction", "higher")
    if statistic == "robust_accuracy":
        return Label(f"robust accuracy{of} ({name}, ε = {size})", "fraction", "higher")
    if statistic == "majority_accuracy":
        return Label(f"robust accuracy{of} of the vote ({name}, ε = {size})", "fraction", "higher")
    if statistic == "area":
        return Label(f"mean robust accuracy{of} over log ε ({name})", "fraction", "higher")
    if variant.startswith("gradient"):
        off = ", noise off" if variant.endswith("_off") else ""
        if statistic == "agreement":
            return Label(f"agreement of two gradients ({name}{off})", "cosine", "neither")
        title = f"median distance to the boundary by the gradient ({name}{off})"
        return Label(title, _DISTANCES.get(norm, "image units"), "higher")
    return Label(f"median minimal distance{of} ({name})", _DISTANCES.get(norm, "image units"), "higher")


def _words(text: str) -> str:
    return text.replace("_", " ").replace("/", " ")
