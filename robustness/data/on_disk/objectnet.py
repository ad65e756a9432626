"""ObjectNet (Barbu et al. 2019): objects turned, in strange places, from strange views. For tests only.

Its file of network outputs numbers the SORTED DISPLAY LABELS; the folders sort differently (45 of 125
differ), so class numbers go by label here.
"""

from __future__ import annotations

import json
from pathlib import Path

from robustness.data.on_disk.imagenet_classes import index_of
from robustness.data.on_disk.listing import Listing, folders_in, images_in, need_folder, rows, table
from robustness.data.on_disk.registry import register
from robustness.errors import UserError

BORDER = 2
POLICIES = ("official", "restricted")
WHAT = "ObjectNet has images/<folder>/<id>.png and mappings/*.json"
LICENCE = (
    "ObjectNet's licence: for tests only, no parameter may ever be tuned on it; images that are shown keep "
    "their red border."
)


@register("objectnet", reason="its licence allows tests only")
def listing(
    path: Path, reference: Path | None = None, policy: str = "official", **options: object
) -> Listing:
    """The images of the classes shared with ImageNet, two pixels of border cut off.

    ``policy`` ``official``: the largest of all 1000 outputs, those of no shared class being wrong;
    ``restricted``: the largest of the shared outputs. ``reference``, ImageNet's validation images, gives the
    clean ones. Raises UserError if the mappings do not agree with each other or with the folders.
    """
    root = need_folder(path, WHAT)
    if policy not in POLICIES:
        raise UserError(f"data.policy: {policy!r} is none of {', '.join(POLICIES)}")
    labels = _json(root, "folder_to_objectnet_label")
    outputs = _outputs(root, set(labels.values()))
    shared = sorted(outputs)
    place = {label: number for number, label in enumerate(shared)}
    condition = ("pose", "objectnet", "1") if reference else ("clean", "none", "0")
    images = need_folder(root / "images", WHAT)
    found, seen = [], set()
    for folder in folders_in(images):
        if folder.name not in labels:
            raise UserError(f"data.path: {folder}: folder_to_objectnet_label.json has no such folder")
        label = labels[folder.name]
        if label in place:
            seen.add(label)
            own = rows(images_in(folder), place[label], images, condition)
            found += [row | {"border": BORDER} for row in own]
    groups, classes = [outputs[label] for label in shared], list(shared)
    if reference:
        owner = {output: number for number, group in enumerate(groups) for output in group}
        need_folder(reference, "data.reference is a folder of wnid folders: ImageNet's validation images")
        for folder in folders_in(reference):
            output = index_of(folder.name, folder)
            if output in owner:
                own = rows(images_in(folder), owner[output], reference)
                found += [row | {"border": 0} for row in own]
    if policy == "official":
        named = {output for group in groups for output in group}
        groups = [*groups, [output for output in range(1000) if output not in named]]
        classes = [*classes, "none of the shared"]
    scoring = {
        "official": "The largest of all 1000 outputs; one of no shared class is wrong.",
        "restricted": "The largest of the outputs of shared classes.",
    }
    return Listing(
        classes=classes,
        samples=table(found, images, WHAT),
        policy=f"{policy}: {scoring[policy]}",
        licence=LICENCE,
        groups=groups,
        notes=[f"{len(seen)} of {len(shared)} shared classes have images"] if len(seen) < len(shared) else [],
    )


def _outputs(root: Path, labels: set[str]) -> dict[str, list[int]]:
    """Label → network outputs, of the classes shared with ImageNet."""
    ordered = sorted(labels)
    outputs: dict[str, list[int]] = {}
    for output, number in _json(root, "imagenet_pytorch_id_to_objectnet_id").items():
        if not output.isdecimal() or int(output) > 999 or not 0 <= int(number) < len(ordered):
            raise UserError(
                f"data.path: imagenet_pytorch_id_to_objectnet_id.json: {output}: {number} is no pair"
            )
        outputs.setdefault(ordered[int(number)], []).append(int(output))
    named = set(_json(root, "objectnet_to_imagenet_1k"))
    if set(outputs) != named:
        strange = sorted(set(outputs) ^ named)[0]
        raise UserError(
            f"data.path: the mappings disagree on {strange!r}: outputs are numbered by the sorted display "
            "labels; bring the mappings of one release"
        )
    return {label: sorted(group) for label, group in outputs.items()}


def _json(root: Path, name: str) -> dict:
    path = root / "mappings" / f"{name}.json"
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"data.path: {path} cannot be read ({error}); {WHAT}") from error
