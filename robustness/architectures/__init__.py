"""Image classifiers from the Neocognitron (1979) to EfficientNet (2020), under one registry.

:func:`names` lists them, :func:`get` tells what is published of one, :func:`build` makes the network. Every
file of this folder is a family, found because it lies here, but for the registry; what families share lies
in ``blocks``.
"""

from robustness.architectures.registry import STAGES, Architecture, Option, Stem, build, get, names
from robustness.registry import import_all

__all__ = ["FAMILIES", "STAGES", "Architecture", "Option", "Stem", "build", "get", "names"]

FAMILIES = tuple(name for name in import_all(__name__) if name != "registry")
"""The names of the family files, in alphabetical order."""
