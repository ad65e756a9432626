"""The metadata of an image set that was read from disk: classes, files, licence."""

from __future__ import annotations

import json

from robustness.data.image_set import ImageSet

OUTPUTS, READING = "outputs.json", "reading.json"


def class_groups(images: ImageSet) -> list[list[int]] | None:
    """The ImageNet outputs of each class of a set, or None if the set has classes of its own."""
    path = images.folder / OUTPUTS
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def metadata(images: ImageSet) -> list[tuple[str, str]]:
    """(what, value) for a data card: how the set was mapped, scored, licensed and read; none if it was not
    read from disk."""
    path = images.folder / READING
    if not path.is_file():
        return []
    reading = json.loads(path.read_text("utf-8"))
    groups = class_groups(images)
    mapping = "Classes of the set's own."
    if groups is not None:
        mapping = (
            f"{len(groups)} classes, each for its outputs of the 1000 of ImageNet "
            f"({sum(map(len, groups))} outputs in all)."
        )
    return [("class mapping", mapping), ("evaluation policy", reading["policy"]),
            ("licence", reading["licence"]), ("read from disk", f"{summary(images)}.")]  # fmt: skip


def summary(images: ImageSet) -> str:
    """One line on how the set was read: files, unusual ones, those left out, what was missing."""
    path = images.folder / READING
    reading = json.loads(path.read_text("utf-8"))
    unusual = ", ".join(f"{n} {kind}" for kind, n in reading["kinds"].items() if kind != "rgb")
    names = list(reading["left_out"])
    out = f"; left out: {', '.join(names[:5])}{' …' if len(names) > 5 else ''}" if names else ""
    notes = "".join(f"; {note}" for note in reading["notes"])
    return f"{reading['files']} images listed, {len(images)} kept ({unusual or 'all RGB'}){out}{notes}"
