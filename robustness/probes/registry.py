"""The probes by name: each looks into a model and returns a table of numbers and arrays for pictures.

A probe is a function ``(model, images, labels, *, seed, progress, **settings)`` that returns a
:class:`ProbeResult`. ``model`` is any module with images (N, 3, H, W) in [0, 1] as input, logits as output,
and a dict ``stages``: canonical stage name → module path.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from robustness.errors import UserError, nearest
from robustness.probes.result import ProbeResult, Progress
from robustness.registry import Registry

# What no user sets: ``placed``, ``masks`` and ``scenes`` are what some probes take beside the clean images.
_GIVEN = ("model", "images", "labels", "seed", "progress", "placed", "masks", "scenes",
          "shifted")  # fmt: skip


@dataclass(frozen=True)
class Probe:
    """A probe of the registry."""

    name: str
    run: Callable[..., ProbeResult]

    @property
    def settings(self) -> dict[str, Any]:
        """Its settings and their default values."""
        parameters = inspect.signature(self.run).parameters.values()
        return {p.name: p.default for p in parameters if p.name not in _GIVEN}

    def check(self, settings: dict[str, Any]) -> None:
        """Raises UserError if one of the settings is unknown."""
        for key in settings:
            if key not in self.settings:
                raise UserError(f"probes.{self.name}: unknown setting {key!r}; {nearest(key, self.settings)}")


PROBES: Registry[Probe] = Registry("probe", Probe)
register, names, get = PROBES.register, PROBES.names, PROBES.get


def run(
    name: str,
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    **settings: Any,
) -> ProbeResult:
    """Run one probe by name. ``images`` (N, 3, H, W) in [0, 1]; ``labels`` (N,) integers.

    Raises UserError for an unknown probe, setting, stage or unit.
    """
    probe = get(name)
    probe.check({key: value for key, value in settings.items() if key not in _GIVEN})
    return probe.run(model, images, labels, seed=seed, progress=progress, **settings)
