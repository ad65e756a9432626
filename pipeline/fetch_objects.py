"""Bring the library of 3-D models: ``python -m pipeline.fetch_objects``."""

from __future__ import annotations

from pathlib import Path

from pipeline import files, stage
from pipeline.settings import StageSettings
from robustness.data.objects import fetch as library_fetch
from robustness.whole_files import whole

READS = ("data.set", "data.library")


def fetch_objects(settings: StageSettings) -> None:
    """Bring the .sh3f model library, checked by hash; a set that needs no library gets an empty folder."""
    if settings.data.set != "objects":
        with whole(files.LIBRARY) as folder:
            folder.mkdir()
        return
    source = Path(settings.data.library) if settings.data.library else None
    library_fetch.fetch(files.LIBRARY, source=source, cache=files.DOWNLOADS / "library")


if __name__ == "__main__":
    stage.run(fetch_objects, READS)
