"""Weights trained elsewhere: named, read without executing code, made into classifiers of this project.

``taking_over``, which may train them further, is imported by itself: to load a model takes no training.
"""

from robustness.weights.adopted import Adopted, adopt, load, save
from robustness.weights.settings import FineTune, check
from robustness.weights.source import Source, parse

__all__ = [
    "Adopted",
    "FineTune",
    "Source",
    "adopt",
    "check",
    "load",
    "parse",
    "save",
]
