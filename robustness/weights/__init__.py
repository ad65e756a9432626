"""Weights trained elsewhere: named, read without executing code, made into classifiers of this project."""

from robustness.weights.adopted import Adopted, adopt, is_adopted, load, save
from robustness.weights.source import TRAIN, Source, parse

__all__ = ["TRAIN", "Adopted", "Source", "adopt", "is_adopted", "load", "parse", "save"]
