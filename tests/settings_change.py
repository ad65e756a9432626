"""Settings with one value changed: what the tests of wrong settings share."""

from __future__ import annotations

from typing import Any


def changed(settings: dict, *path_and_value: object) -> dict:
    """A copy with the value at a path of keys replaced, or the key removed if the value is ``...``."""
    *path, last, value = path_and_value
    settings = place = _unshared(settings)
    for key in path:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return settings


def _unshared(value: Any) -> Any:
    """A copy in which what an anchor and its aliases share stands apart."""
    if isinstance(value, dict):
        return {key: _unshared(part) for key, part in value.items()}
    return [_unshared(part) for part in value] if isinstance(value, list) else value
