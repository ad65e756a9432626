"""Fixtures that several parts of the tests share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from filelock import FileLock

import pipeline  # noqa: F401 - first: byte code then lies apart from the code that runs depend on
from robustness.data.objects import fetch as library_fetch

ROOT = Path(__file__).resolve().parents[1]
if not sys.dont_write_bytecode:
    os.environ["PYTHONPYCACHEPREFIX"] = str(ROOT / ".cache" / "pycache")


@pytest.fixture(scope="session")
def library_folder() -> Path:
    """The real model library, fetched once into the checkout's cache, whichever worker asks first."""
    folder = ROOT / ".cache" / "library"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.parent / "library.lock"):
        return library_fetch.fetch(folder, say=print)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no worker is left with one alone at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
