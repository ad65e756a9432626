"""Fixtures that several parts of the tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustness.data import library_fetch

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def library_folder() -> Path:
    """The real model library, fetched once into the checkout's cache."""
    return library_fetch.fetch(ROOT / ".cache" / "library", say=print)
