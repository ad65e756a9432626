"""The sets on disk by name, and the one way from a name and a folder to an image set."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from robustness.data.image_set import ImageSet
from robustness.data.on_disk.listing import Listing
from robustness.data.on_disk.writing import write
from robustness.errors import UserError, nearest
from robustness.registry import Registry

SETTINGS = ("reference", "mapping", "policy")
"""What some sets take beside their folder."""


@dataclass(frozen=True)
class DataSet:
    """A set that is read from disk: ``listing(path, *, seed, …) -> Listing``.

    It takes those of :data:`SETTINGS` that the function names, and needs a folder unless ``path`` has a
    default. trains: whether models may train on it; if not, ``reason`` says why.
    """

    name: str
    listing: Callable[..., Listing]
    trains: bool = False
    reason: str = "it holds test images only"

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings that it takes."""
        return tuple(key for key in SETTINGS if key in inspect.signature(self.listing).parameters)

    @property
    def needs_path(self) -> bool:
        """Whether it is read from a folder that the user names."""
        return inspect.signature(self.listing).parameters["path"].default is inspect.Parameter.empty


DATA_SETS: Registry[DataSet] = Registry("data set", DataSet)
register = DATA_SETS.register

OWN_SETS = ("objects", "digits", "mnist")
"""Sets that are made here, not read from a folder."""


def check(name: str, path: str | None, trains: bool, **settings: str | None) -> None:
    """Refuse what a set cannot do before any work: a setting it does not take, training on test images."""
    known = (*OWN_SETS, *DATA_SETS.names())
    if name not in known:
        raise UserError(f"unknown {name!r}; {nearest(name, known)}", "set")
    if name in OWN_SETS:
        for key, value in {"path": path, **settings}.items():
            if value is not None:
                raise UserError(f"the set {name} takes no such setting", key)
        return
    found = DATA_SETS.get(name)
    if found.needs_path and not path:
        raise UserError(f"is missing; name the folder that holds {name}", "path")
    for key, value in settings.items():
        if value is not None and key not in found.settings:
            raise UserError(f"{name} takes no such setting", key)
    if trains and not found.trains:
        raise UserError(
            f"no model may be trained on {name}, {found.reason}; give every model weights and no fine_tune",
            "set",
        )


def build(
    name: str,
    folder: Path | str,
    *,
    path: Path | None,
    image_size: int,
    workers: int = 1,
    seed: int = 0,
    **settings: object,
) -> ImageSet:
    """Read the set ``name`` from ``path`` into an image set in ``folder``.

    Files of the folder that are no part of the set are counted among its notes. Raises UserError, in one
    line, if the folder is not that set.
    """
    check(name, None if path is None else str(path), trains=False, **settings)
    given = {key: value for key, value in settings.items() if value is not None}
    listed = DATA_SETS.get(name).listing(path=path, seed=seed, **given)
    if path is not None and "file" in listed.samples:
        listed = replace(listed, notes=[*listed.notes, *_unused(path, set(listed.samples["file"]))])
    return write(listed, folder, image_size=image_size, workers=workers)


def _unused(root: Path, used: set[str]) -> list[str]:
    """A note on the files under ``root``, hidden ones apart, that the set does not use, if there are any."""
    count, first = 0, ""
    for folder, inside, names in os.walk(root):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(folder, name)
            if not name.startswith(".") and path not in used:
                count, first = count + 1, first or os.path.relpath(path, root)
    return (
        [f"{count} files in the folder are no part of the set ({first}{' …' * (count > 1)})"] if count else []
    )
