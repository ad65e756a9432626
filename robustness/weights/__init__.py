"""Pretrained weights: named, read without executing code, made into classifiers of this project.

``from_settings``, which can fine-tune them, is imported by itself: loading a model needs no training code.
"""

from robustness.weights.pretrained import Pretrained, around, build, check_fits, load, save
from robustness.weights.settings import FineTune, check
from robustness.weights.source import Source, parse

__all__ = [
    "FineTune",
    "Pretrained",
    "Source",
    "around",
    "build",
    "check",
    "check_fits",
    "load",
    "parse",
    "save",
]
