"""The attacks by name: what each can do, and a builder that is called with a norm and settings.

The cost of each per image, in gradients or queries, stands in its docstring.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robustness.attacks.geometry import NORMS
from robustness.errors import UserError, nearest
from robustness.registry import Registry

if TYPE_CHECKING:
    from foolbox.attacks.base import AttackWithDistance

KINDS = ("fixed", "minimal")
Suite = Mapping[str, Mapping[str, Any]]  # attack → its settings


@dataclass(frozen=True)
class Attack:
    """An attack of the registry; ``build(norm, *, setting=default, …)`` gives it as a foolbox attack.

    kind ``fixed``: searches a ball of given ε; ``minimal``: minimises the perturbation. alone: whether images
    must be attacked one at a time, because its random numbers or sums run over the batch. Raises ValueError
    for an unknown kind or norm.
    """

    name: str
    build: Callable[..., AttackWithDistance]
    norms: tuple[str, ...]
    kind: str = "fixed"
    alone: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not set(self.norms) <= set(NORMS):
            raise ValueError(f"attack {self.name!r}: kind {self.kind!r} or norms {self.norms} are unknown")

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the builder knows, with their defaults."""
        parameters = inspect.signature(self.build).parameters
        return {name: value.default for name, value in parameters.items() if name != "norm"}


@dataclass(frozen=True)
class Planned:
    """One attack of a suite in a norm; ``settings`` go to the builder."""

    entry: Attack
    norm: str
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The attack's name, also in tables."""
        return self.entry.name

    def build(self) -> AttackWithDistance:
        """The foolbox attack."""
        return self.entry.build(self.norm, **self.settings)


ATTACKS: Registry[Attack] = Registry("attack", Attack)
register, names, get = ATTACKS.register, ATTACKS.names, ATTACKS.get


def plan(suite: Suite, norm: str) -> tuple[Planned, ...]:
    """The attacks of a suite in its order, checked against the registry; nothing is built yet.

    A suite is a mapping attack → settings (``{"pgd": {"steps": 20}}``). Raises UserError for an unknown
    attack or setting, a norm that the attack has not, a suite without attacks.
    """
    if norm not in NORMS:
        raise UserError(f"norm {norm!r} is unknown; {nearest(str(norm), NORMS)}")
    if not suite:
        raise UserError(f"suite: names no attack; known are {', '.join(names())}")
    found = []
    for name, settings in suite.items():
        entry = get(name)
        if norm not in entry.norms:
            raise UserError(f"attack {name}: has no norm {norm}; it has {', '.join(entry.norms)}")
        for key in settings:
            if key not in entry.settings:
                raise UserError(f"attack {name}: unknown setting {key!r}; {nearest(key, entry.settings)}")
        for key in ("steps", "targets"):
            if key in settings and (not isinstance(settings[key], int) or settings[key] < 1):
                raise UserError(f"attack {name}: {key} is {settings[key]!r}; use a whole number from 1")
        found.append(Planned(entry, norm, settings))
    return tuple(found)
