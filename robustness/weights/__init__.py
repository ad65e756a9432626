"""Weights trained elsewhere: named, read without executing code, made into classifiers of this project."""

from robustness.weights.adopted import Adopted, adopt, load, save
from robustness.weights.settings import FineTune, check
from robustness.weights.source import Source, parse
from robustness.weights.taking_over import take_over

__all__ = [
    "Adopted",
    "FineTune",
    "Source",
    "adopt",
    "check",
    "load",
    "parse",
    "save",
    "take_over",
]
