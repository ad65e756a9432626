"""Image classifiers from the Neocognitron (1979) to EfficientNet (2020), under one registry.

:func:`names` lists them, :func:`get` tells what is published of one, :func:`build` makes the network. Every
file of this folder is a family, found because it lies here, but for the registry; what families share lies
in ``blocks``.
"""

from importlib import import_module
from pkgutil import iter_modules

from robustness.architectures.registry import STAGES, Architecture, Option, Stem, build, get, names

__all__ = ["FAMILIES", "STAGES", "Architecture", "Option", "Stem", "build", "get", "names"]

FAMILIES = tuple(
    sorted(found.name for found in iter_modules(__path__) if not found.ispkg and found.name != "registry")
)
"""The names of the family files, in alphabetical order."""

for _family in FAMILIES:
    import_module(f"{__name__}.{_family}")
