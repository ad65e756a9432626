"""Bring the library of 3-D models: ``python -m pipeline.fetch_objects``."""

from __future__ import annotations

from pathlib import Path

from pipeline import files, stage
from pipeline.params import Params


def fetch_objects(params: Params) -> None:
    """Bring the .sh3f model library, checked by hash; a set that needs no library gets an empty folder."""
    if params.data.set == "objects":
        from robustness.data import library_fetch

        source = Path(params.data.library) if params.data.library else None
        library_fetch.fetch(files.LIBRARY, source=source, cache=files.DOWNLOADS / "library")
    else:
        with files.whole(files.LIBRARY) as folder:
            folder.mkdir()


if __name__ == "__main__":
    stage.run(fetch_objects)
