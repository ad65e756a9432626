"""Folders that appear whole or not at all; what killed processes left of them is cleared away."""

from __future__ import annotations

import os
import re
import shutil
import socket
import uuid
from pathlib import Path


def temporary_beside(place: Path) -> Path:
    """A name beside ``place`` for a folder that is to take its place; nothing is made.

    The name says whose it is. Folders of this place that belong to processes of this machine which are no
    longer there are removed: a killed process cannot clear up after itself.
    """
    ours = f".{place.name}-{_machine()}-"
    for left in place.parent.glob(f"{ours}*"):
        found = re.fullmatch(re.escape(ours) + r"(\d+)-[0-9a-f]{8}", left.name)
        if found and not _alive(int(found[1])):
            shutil.rmtree(left, ignore_errors=True)
    return place.with_name(f"{ours}{os.getpid()}-{uuid.uuid4().hex[:8]}")


def replace_folder(new: Path, place: Path) -> None:
    """Rename the finished folder ``new`` to ``place``; an older folder there is removed afterwards."""
    place.parent.mkdir(parents=True, exist_ok=True)
    old = temporary_beside(place)
    if place.exists():
        os.replace(place, old)
    os.replace(new, place)
    shutil.rmtree(old, ignore_errors=True)


def _machine() -> str:
    """The machine's name as part of a file's: process numbers mean nothing on another one."""
    return re.sub(r"[^\w.]", "_", socket.gethostname())


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
