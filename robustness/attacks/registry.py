"""The registry of attacks: a name, what it can do, and a builder that is called with a norm and settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from robustness.attacks.geometry import NORMS
from robustness.errors import UserError, nearest

if TYPE_CHECKING:
    from foolbox.attacks.base import AttackWithDistance

KINDS = ("fixed", "minimal")
Suite = Sequence[str | Mapping[str, Any]] | Mapping[str, Mapping[str, Any] | None]


@dataclass(frozen=True)
class Entry:
    """An attack of the registry.

    kind ``fixed``: searches a ball of given ε; ``minimal``: minimises the perturbation. uses: gradient, score
    (logits) or decision (the class alone). alone: whether images must be attacked one at a time, because its
    random numbers or sums run over the batch.
    """

    name: str
    build: Callable[..., AttackWithDistance]
    norms: tuple[str, ...]
    kind: str
    uses: str
    paper: str
    year: int
    alone: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the builder knows, with their defaults."""
        parameters = inspect.signature(self.build).parameters
        return {name: value.default for name, value in parameters.items() if name != "norm"}


@dataclass(frozen=True)
class Planned:
    """One attack of a suite: ``label`` is its name in tables, ``settings`` go to the builder."""

    label: str
    entry: Entry
    norm: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> AttackWithDistance:
        """The foolbox attack; this imports foolbox."""
        return self.entry.build(self.norm, **self.settings)


_ENTRIES: dict[str, Entry] = {}


def register(
    name: str,
    *,
    norms: Sequence[str],
    kind: str = "fixed",
    uses: str = "gradient",
    paper: str,
    year: int,
    alone: bool = False,
) -> Callable[[Callable[..., AttackWithDistance]], Callable[..., AttackWithDistance]]:
    """Decorate a builder ``(norm, *, setting=default, …) -> foolbox attack``; a name taken twice raises."""
    if name in _ENTRIES:
        raise ValueError(f"attack {name!r} is registered twice")
    if kind not in KINDS or not set(norms) <= set(NORMS):
        raise ValueError(f"attack {name!r}: kind {kind!r} or norms {norms} are unknown")

    def add(build: Callable[..., AttackWithDistance]) -> Callable[..., AttackWithDistance]:
        _ENTRIES[name] = Entry(name, build, tuple(norms), kind, uses, paper, year, alone)
        return build

    return add


def names() -> tuple[str, ...]:
    """The names of all attacks."""
    return tuple(sorted(_ENTRIES))


def get(name: str) -> Entry:
    """The entry of one attack. Raises UserError with the nearest names if there is none."""
    if name not in _ENTRIES:
        raise UserError(f"attack {name!r} is unknown; {nearest(str(name), _ENTRIES)}")
    return _ENTRIES[name]


def plan(suite: Suite, norm: str) -> tuple[Planned, ...]:
    """The attacks of a suite in its order, checked against the registry; nothing is built yet.

    A suite is a mapping label → settings (``{"pgd": {"steps": 20}}``), or a sequence of names and of mappings
    with the key ``attack`` (``["fgsm", {"attack": "pgd", "steps": 20}]``). ``attack`` among the settings
    names the attack where the label is another (``{"pgd_long": {"attack": "pgd", "steps": 200}}``). Raises
    UserError for an unknown attack or setting, a norm that the attack has not, a label used twice.
    """
    if norm not in NORMS:
        raise UserError(f"norm {norm!r} is unknown; {nearest(str(norm), NORMS)}")
    found: dict[str, Planned] = {}
    for label, settings in _pairs(suite):
        settings = dict(settings)
        entry = get(settings.pop("attack", label))
        if norm not in entry.norms:
            raise UserError(f"attack {entry.name}: has no norm {norm}; it has {', '.join(entry.norms)}")
        for key in settings:
            if key not in entry.settings:
                raise UserError(
                    f"attack {entry.name}: unknown setting {key!r}; {nearest(key, entry.settings)}"
                )
        for key in ("steps", "targets"):
            if key in settings and (not isinstance(settings[key], int) or settings[key] < 1):
                raise UserError(f"attack {entry.name}: {key} is {settings[key]!r}; use a whole number from 1")
        if label in found or label == "worst":
            raise UserError(f"suite: the label {label!r} is used twice or reserved; give another label")
        found[label] = Planned(label, entry, norm, settings)
    if not found:
        raise UserError(f"suite: names no attack; known are {', '.join(names())}")
    return tuple(found.values())


def _pairs(suite: Suite) -> Iterable[tuple[str, Mapping[str, Any]]]:
    if isinstance(suite, str):
        suite = [suite]
    if isinstance(suite, Mapping):
        yield from ((label, settings or {}) for label, settings in suite.items())
        return
    for item in suite:
        if isinstance(item, str):
            yield item, {}
        elif isinstance(item, Mapping) and "attack" in item:
            settings = dict(item)
            yield settings.pop("label", item["attack"]), settings
        else:
            raise UserError(f"suite: {item!r} is no attack; give a name or a mapping with the key attack")
