"""Any folder of images: one folder per class, under ``train``, ``validation`` (or ``val``) and ``test``."""

from __future__ import annotations

from pathlib import Path

from robustness.data.on_disk.listing import (
    Listing,
    folders_in,
    hold_out,
    images_in,
    need_folder,
    rows,
    table,
)
from robustness.data.on_disk.registry import register
from robustness.errors import UserError

WHAT = "an image folder has train/, validation/ and test/, each with one folder of images per class"
_SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


@register("image_folder", trains=True)
def listing(path: Path, seed: int = 0, **options: object) -> Listing:
    """The images of a folder; without split folders all of them are test images.

    Classes are those of the training folder (of the test folder without one). Without a validation folder, a
    tenth of the training images, drawn by ``seed``, is for validation. Raises UserError for a class
    without an image, and for a class in one split that the first does not have.
    """
    root = need_folder(path, WHAT)
    splits = {_SPLITS[f.name]: f for f in folders_in(root) if f.name in _SPLITS} or {"test": root}
    first = splits.get("train", splits.get("test", root))
    classes = [folder.name for folder in folders_in(first)]
    if len(classes) < 2:
        raise UserError(f"data.path: {first} has {len(classes)} class folders, two are the least; {WHAT}")
    found, notes = [], []
    for split, place in splits.items():
        folders = {folder.name: folder for folder in folders_in(place)}
        strange = sorted(set(folders) - set(classes))
        if strange:
            raise UserError(
                f"data.path: {place}/{strange[0]}: a class that {first} does not have; remove one"
            )
        missing = [name for name in classes if not (name in folders and images_in(folders[name]))]
        if missing and place == first:
            raise UserError(f"data.path: {place}/{missing[0]}: a class without an image; remove or fill it")
        if missing:
            notes.append(f"{split}: no image of {len(missing)} of {len(classes)} classes ({missing[0]} …)")
        role = "test" if split == "test" else "canonical"
        for name, folder in sorted(folders.items()):
            found += rows(images_in(folder), classes.index(name), root, split=split, role=role)
    samples = table(found, root, WHAT)
    if "train" in splits and "validation" not in set(samples["split"]):
        samples = hold_out(samples, seed)
    return Listing(
        classes=classes,
        samples=samples,
        policy="Answers among the folder's own classes.",
        licence="The folder's owner knows its licence.",
        notes=notes,
    )
