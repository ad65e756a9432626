"""Robustness and visualization measurements for image classifiers, from the Neocognitron to EfficientNet.

The library is pure: it takes tensors and tables and returns tensors and tidy tables. Only the
``pipeline`` package knows params.yaml, DVC and the places of files. ``robustness.interface`` holds what one
needs for one's own work; its functions are found here too (``import robustness as rb``).
"""

import importlib

INTERFACE = ("attack", "evaluate", "load_model", "open_set", "probe", "score", "write_report")


def __getattr__(name: str) -> object:
    """A function of the interface. Imported when asked for: a stage imports what it uses and no more."""
    if name in INTERFACE:
        return getattr(importlib.import_module("robustness.interface"), name)
    raise AttributeError(f"module 'robustness' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *INTERFACE})
