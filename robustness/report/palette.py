"""One look for an architecture everywhere: colour and marker by family, line by front-end.

Fourteen hues cannot be told apart by colour-blind readers, so no family is told by its colour alone: every
family has a marker of its own, and panels and rows are labelled. Hues start from Okabe & Ito (2008).
"""

from __future__ import annotations

from dataclasses import dataclass

FAMILIES: dict[str, tuple[str, str]] = {
    "Linear": ("#b8860b", "."),
    "Neocognitron": ("#000000", "o"),
    "LeNet-5": ("#7f7f7f", "s"),
    "AlexNet": ("#d55e00", "^"),
    "ZFNet": ("#e69f00", "v"),
    "GoogLeNet": ("#a89a00", "D"),
    "VGG": ("#009e73", "P"),
    "ResNet": ("#0072b2", "X"),
    "ResNeXt": ("#56b4e9", "<"),
    "SE-Net": ("#1b3a6b", ">"),
    "MobileNet": ("#cc79a7", "p"),
    "ShuffleNet": ("#882255", "h"),
    "NASNet-A": ("#5d3fd3", "*"),
    "AmoebaNet-A": ("#66702c", "d"),
    "EfficientNet": ("#b03060", "8"),
}
"""Family → (colour, marker)."""

FRONTENDS: dict[str, object] = {
    "learned": "-",
    "vone": (0, (4, 1.5)),
    "gabor": (0, (1, 1)),
    "random": (0, (4, 1.5, 1, 1.5)),
    "learned_noise": (0, (7, 1.5)),
    "gabor_trained": (0, (4, 1.5, 1, 1.5, 1, 1.5)),
    "learned_coarse": (0, (2, 1.5)),
    "image_noise": (0, (7, 1.5, 1, 1.5)),
    "push_pull": (0, (1, 2.5)),
    "scattering": (0, (9, 1.5)),
    "scattering_noise": (0, (9, 1.5, 1, 1.5)),
    "divisive_normalisation": (0, (4, 3)),
    "subcortical": (0, (12, 1.5)),
    "evnet": (0, (12, 1.5, 1, 1.5)),
    "blurred": (0, (1, 4)),
}
"""Front-end → line style: learned solid, vone dashed."""

FRONTEND_COLOURS: dict[str, str] = {
    "learned": "#000000",
    "vone": "#0072b2",
    "gabor": "#56b4e9",
    "random": "#d55e00",
    "learned_noise": "#009e73",
    "gabor_trained": "#cc79a7",
    "learned_coarse": "#e6ab02",
    "image_noise": "#882255",
    "push_pull": "#4b00af",
    "scattering": "#4b3200",
    "scattering_noise": "#af4bfa",
    "divisive_normalisation": "#96c87d",
    "subcortical": "#e1004b",
    "evnet": "#1932fa",
    "blurred": "#4b007d",
}
"""Colours where one architecture's front-ends are compared and the family's own colour tells nothing."""

TRAINING_COLOURS: dict[str, str] = {"canonical": "#000000", "diverse": "#d55e00", "adversarial": "#0072b2"}
"""Colours where one architecture's trainings are compared."""

NOISE_COLOURS: dict[str, str] = {
    "live": "#0072b2", "transferred": "#cc79a7", "frozen": "#d55e00", "off": "#000000"
}  # fmt: skip
"""Colours of what the noise of a stochastic model does."""

SHARE_COLOURS: dict[str, str] = {"objects": "#0072b2", "views": "#d55e00"}
"""Colours of what a learning curve has more of."""

SHARE_LINES: dict[str, object] = {"objects": "-", "views": (0, (4, 1.5))}
"""The same by line style."""

TRAININGS = ("canonical", "diverse", "adversarial")
"""In the order of tables; markers of all but the first are open."""

VERDICTS: dict[str, tuple[str, str]] = {
    "ok": ("#0072b2", "all well"),
    "small": ("#e69f00", "sample too small"),
    "weak": ("#d55e00", "attack too weak"),
    "masked": ("#d55e00", "model masks gradients"),
}
"""Verdict of the checks of an attack, the worst last → (colour, words): never told by the colour alone."""

OTHERS = "#c8c8c8"
CHANCE = "#888888"


@dataclass(frozen=True)
class Look:
    """How the points and lines of one model are drawn."""

    colour: str
    marker: str
    line: object


OTHER_FAMILY = ("#444444", "H")
"""A family that has no look of its own yet."""
OTHER_FRONTEND = ("#888888", (0, (2, 1)))
"""Colour and line of a front-end that has none of its own yet."""


def look(family: str, frontend: str) -> Look:
    """The look of a model; new families and front-ends get the common look."""
    colour, marker = FAMILIES.get(family, OTHER_FAMILY)
    return Look(colour, marker, FRONTENDS.get(frontend, OTHER_FRONTEND[1]))
