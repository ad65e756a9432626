"""A linear classifier of pixels: the perceptron (Rosenblatt 1958) with one output a class.

The base line for a network with tolerance of position or deformation. No layer lies between image and answer,
so its stages are the pixels themselves; behind a fixed front-end it is a linear read-out of that.
"""

from __future__ import annotations

from torch import Tensor, nn

from robustness.architectures.registry import Stem, register


class LinearClassifier(nn.Module):
    """Images (N, C, S, S) to logits (N, classes), without a hidden layer."""

    def __init__(self, *, num_classes: int, in_channels: int, image_size: int, width: float) -> None:
        super().__init__()
        self.pixels = nn.Identity()
        self.flatten = nn.Flatten()
        self.output = nn.Linear(in_channels * image_size**2, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes)."""
        return self.output(self.flatten(self.pixels(x)))


register(
    "linear",
    family="Linear",
    year=1958,
    paper="Rosenblatt: The Perceptron: A Probabilistic Model for Information Storage and Organization "
    "in the Brain, Psychological Review 65(6), 1958",
    parameters=None,
    input_size=28,
    smallest=16,
    stem=Stem(("pixels",), stride=1, channels=3),
    stages=dict.fromkeys(("stem", "early", "middle", "late"), "pixels") | {"penultimate": "flatten"},
    classes=10,
    channels=1,
)(LinearClassifier)
