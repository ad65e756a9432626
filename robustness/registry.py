"""The one way to register what settings name (architectures, front-ends, shifts, attacks, probes, data sets)
and what the report is made of (its sections, the pictures of probes).

Each kind has one :class:`Registry`, in the module ``registry`` of its folder. A new entry is one file of that
folder with the kind's decorator on a function; :func:`import_all`, called by the folder's ``__init__``, finds
it because it lies there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Generic, TypeVar

from robustness.errors import UserError, nearest

Entry = TypeVar("Entry")
Target = TypeVar("Target", bound=Callable[..., Any])


class Registry(Generic[Entry]):
    """The entries of one kind by name, in the order in which they were registered.

    ``entry(name, target, **facts)`` makes an entry of a registered function; ValueError for wrong facts.
    """

    def __init__(self, kind: str, entry: Callable[..., Entry]) -> None:
        self.kind, self._entry = kind, entry
        self._entries: dict[str, Entry] = {}

    def register(self, name: str, **facts: Any) -> Callable[[Target], Target]:
        """Decorate the function (or class) that an entry stands for; ``facts`` are what the kind asks of it.

        Raises ValueError for a name that is taken and for facts that the kind does not allow.
        """

        def add(target: Target) -> Target:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = self._entry(name, target, **facts)
            return target

        return add

    def names(self) -> tuple[str, ...]:
        """All names."""
        return tuple(self._entries)

    def get(self, name: str) -> Entry:
        """The entry of a name. Raises UserError with the nearest names if there is none."""
        if name not in self._entries:
            raise UserError(f"{self.kind} {name!r} is unknown; {nearest(str(name), self._entries)}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())


def import_all(package: str) -> tuple[str, ...]:
    """Import every module that lies in a package's folder, sub-packages apart; their names, in order."""
    found = iter_modules(import_module(package).__path__)
    names = tuple(sorted(each.name for each in found if not each.ispkg))
    for name in names:
        import_module(f"{package}.{name}")
    return names
