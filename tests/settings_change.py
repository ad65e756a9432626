"""Settings with one value changed: what the tests of wrong settings share."""

from __future__ import annotations

import copy


def changed(settings: dict, *path_and_value: object) -> dict:
    """A copy with the value at a path of keys replaced, or the key removed if the value is ``...``."""
    *path, last, value = path_and_value
    settings = place = copy.deepcopy(settings)
    for key in path:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return settings
