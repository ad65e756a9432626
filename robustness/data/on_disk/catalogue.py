"""The adapters by name, and the one way from a name to an image set."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from robustness.data.image_set import ImageSet
from robustness.data.on_disk import cifar, image_folder, imagenet, imagenet_samples, objectnet, smallnorb
from robustness.data.on_disk.listing import Listing
from robustness.data.on_disk.writing import write
from robustness.errors import UserError, nearest


@dataclass(frozen=True)
class Adapter:
    """How a set is listed, which settings it takes beside ``path``, whether models may train on it."""

    listing: Callable[..., Listing]
    settings: tuple[str, ...] = ()
    trains: bool = False
    needs_path: bool = True


ADAPTERS: dict[str, Adapter] = {
    "imagenet_samples": Adapter(imagenet_samples.listing, needs_path=False),
    "image_folder": Adapter(image_folder.listing, trains=True),
    "imagenet": Adapter(imagenet.imagenet),
    "imagenet_v2": Adapter(imagenet.imagenet_v2),
    "imagenet_a": Adapter(imagenet.imagenet_a, ("reference",)),
    "imagenet_r": Adapter(imagenet.imagenet_r, ("reference",)),
    "imagenet_sketch": Adapter(imagenet.imagenet_sketch),
    "imagenet_c": Adapter(imagenet.imagenet_c, ("reference",)),
    "imagenet9": Adapter(imagenet.imagenet9, ("mapping",)),
    "objectnet": Adapter(objectnet.listing, ("reference", "policy")),
    "smallnorb": Adapter(smallnorb.listing, ("policy",), trains=True),
    "cifar10": Adapter(cifar.cifar10, trains=True),
    "cifar10_c": Adapter(cifar.cifar10_c, ("reference",), trains=True),
}


OWN_SETS = ("objects", "digits")
"""Sets that are made here, not read from a folder."""


def check(name: str, path: str | None, trains: bool, **settings: str | None) -> None:
    """Refuse what a set cannot do before any work: a setting it does not take, training on test images."""
    if name not in (*OWN_SETS, *ADAPTERS):
        raise UserError(f"unknown {name!r}; {nearest(name, (*OWN_SETS, *ADAPTERS))}", "set")
    if name in OWN_SETS:
        for key, value in {"path": path, **settings}.items():
            if value is not None:
                raise UserError(f"the set {name} takes no such setting", key)
        return
    adapter = ADAPTERS[name]
    if adapter.needs_path and not path:
        raise UserError(f"is missing; name the folder that holds {name}", "path")
    for key, value in settings.items():
        if value is not None and key not in adapter.settings:
            raise UserError(f"{name} takes no such setting", key)
    if trains and not adapter.trains:
        why = "its licence allows tests only" if name == "objectnet" else "it holds test images only"
        raise UserError(
            f"no model may be trained on {name}, {why}; give every model weights and no fine_tune", "set"
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
    listed = ADAPTERS[name].listing(path=path, seed=seed, **given)
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
