"""Weights trained elsewhere: named, read without executing code, made into classifiers of this project."""

from robustness.weights.adopted import Adopted, adopt, is_adopted, load, save
from robustness.weights.fine_tuning import PARTS, fingerprint, freeze
from robustness.weights.source import TRAIN, Source, parse

__all__ = ["PARTS", "TRAIN", "Adopted", "Source", "adopt", "fingerprint", "freeze", "is_adopted", "load",
           "parse", "save"]  # fmt: skip
