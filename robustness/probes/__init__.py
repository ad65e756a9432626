"""Visualization probes: what a network learned, as pictures and as numbers, for any architecture.

Every probe is a module with a function ``run(model, images, labels, *, seed, progress, **settings)`` that
returns a :class:`ProbeResult`. ``model`` is any module with images (N, 3, H, W) in [0, 1] as input, logits as
output, and a dict ``stages``: canonical stage name → module path.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from types import ModuleType
from typing import Any

from robustness.errors import UserError, nearest
from robustness.probes.result import COLUMNS, ProbeResult, Progress

__all__ = ["COLUMNS", "ProbeResult", "Progress", "check", "defaults", "get", "names", "run"]

_PROBES = ("filters", "embedding", "activations", "occlusion", "saliency", "ascent", "inversion")
_GIVEN = ("model", "images", "labels", "seed", "progress")


def names() -> list[str]:
    """The names of all probes, in the order of the report."""
    return list(_PROBES)


def get(name: str) -> ModuleType:
    """The probe's module, with its function ``run``. Raises UserError for an unknown name."""
    if name not in _PROBES:
        raise UserError(f"probes: unknown probe {name!r}; {nearest(name, _PROBES)}")
    return import_module(f"robustness.probes.{name}")


def defaults(name: str) -> dict[str, Any]:
    """The probe's settings and their default values."""
    parameters = inspect.signature(get(name).run).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in _GIVEN}


def check(name: str, settings: dict[str, Any]) -> None:
    """Raises UserError if the probe or one of its settings is unknown."""
    known = defaults(name)
    for key in settings:
        if key not in known:
            raise UserError(f"probes.{name}: unknown setting {key!r}; {nearest(key, known)}")


def run(
    name: str, model, images, labels, *, seed: int = 0, progress: Progress | None = None, **settings
) -> ProbeResult:
    """Run one probe by name. ``images`` (N, 3, H, W) in [0, 1]; ``labels`` (N,) integers.

    Raises UserError for an unknown probe, setting, stage or unit.
    """
    check(name, settings)
    return get(name).run(model, images, labels, seed=seed, progress=progress, **settings)
