"""ImageNet's validation images and the sets in its form: V2, A, R, Sketch, C and the Backgrounds Challenge.

Class numbers come from the sorted list of the 1000 wnids, never from the folders that are present.
"""

from __future__ import annotations

import json
from pathlib import Path

from robustness.data.on_disk.imagenet_classes import index_of, wnids
from robustness.data.on_disk.listing import Listing, folders_in, images_in, need_folder, rows, table
from robustness.data.on_disk.registry import register
from robustness.errors import UserError

RESEARCH = "ImageNet's terms: research and teaching without commerce; images stay their owners'."
_ALL = "Answers among all 1000 classes of ImageNet."
SUBSET = 200
CORRUPTIONS = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur",
    "snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
    "speckle_noise", "gaussian_blur", "spatter", "saturate",
)  # fmt: skip
KINDS_OF_CORRUPTION = ("noise", "blur", "weather", "digital", "extra")
VARIANTS = (
    "original",
    "mixed_same",
    "mixed_rand",
    "mixed_next",
    "only_fg",
    "no_fg",
    "only_bg_b",
    "only_bg_t",
)


@register("imagenet")
def imagenet(path: Path, **options: object) -> Listing:
    """A folder of wnid folders, such as ImageNet's validation images or Sketch; classes may be missing."""
    return _wnid_folders(path, RESEARCH, subset=None)


@register("imagenet_sketch")
def imagenet_sketch(path: Path, **options: object) -> Listing:
    """ImageNet-Sketch (Wang et al. 2019): drawings of the 1000 classes."""
    return _wnid_folders(path, "ImageNet-Sketch: code MIT, images their owners'.", subset=None)


@register("imagenet_a")
def imagenet_a(path: Path, reference: Path | None = None, **options: object) -> Listing:
    """ImageNet-A (Hendrycks et al. 2021): 200 classes; other outputs are masked."""
    return _wnid_folders(path, "ImageNet-A: MIT licence, images their owners'.", SUBSET, reference, "a")


@register("imagenet_r")
def imagenet_r(path: Path, reference: Path | None = None, **options: object) -> Listing:
    """ImageNet-R (Hendrycks et al. 2021): renditions of 200 classes; other outputs are masked."""
    return _wnid_folders(path, "ImageNet-R: MIT licence, images their owners'.", SUBSET, reference, "r")


def _wnid_folders(
    path: Path, licence: str, subset: int | None, reference: Path | None = None, name: str = ""
) -> Listing:
    what = "it has one folder of images per class, named by its wnid"
    root = need_folder(path, what)
    outputs = {folder: index_of(folder.name, folder) for folder in folders_in(root)}
    if subset is None:
        chosen, policy = list(range(1000)), _ALL
    else:
        chosen = sorted(outputs.values())
        policy = f"Answers among the {len(chosen)} classes of the set; the other outputs are masked."
    place = {output: number for number, output in enumerate(chosen)}
    found, notes = [], []
    condition = ("natural", f"imagenet_{name}", "1") if reference else ("clean", "none", "0")
    for folder, output in outputs.items():
        found += rows(images_in(folder), place[output], root, condition)
    if reference:
        found += _reference(reference, chosen)
        policy += " Clean are the reference's images of the same classes."
    present = len({row["label"] for row in found})
    expected = 1000 if subset is None else subset
    if present != expected:
        notes.append(f"{present} of {expected} classes have images")
    return Listing(
        classes=[wnids()[output] for output in chosen],
        samples=table(found, root, what),
        policy=policy,
        licence=licence,
        groups=[[output] for output in chosen],
        notes=notes,
    )


def _reference(root: Path, chosen: list[int]) -> list[dict[str, object]]:
    """Clean rows of an ImageNet folder, of the chosen outputs only."""
    found: list[dict[str, object]] = []
    need_folder(root, "data.reference is a folder of wnid folders: ImageNet's validation images")
    place = {output: number for number, output in enumerate(chosen)}
    for folder in folders_in(root):
        output = index_of(folder.name, folder)
        if output in place:
            found += rows(images_in(folder), place[output], root, named=False)
    return found


@register("imagenet_v2")
def imagenet_v2(path: Path, **options: object) -> Listing:
    """ImageNet-V2 (Recht et al. 2019): the label is the folder's name as a number, whatever their order."""
    what = "ImageNet-V2 has folders named 0 to 999"
    root = need_folder(path, what)
    found = []
    for folder in folders_in(root):
        if not folder.name.isdecimal() or int(folder.name) > 999:
            raise UserError(f"data.path: {folder} is not named by a number from 0 to 999; {what}")
        found += rows(images_in(folder), int(folder.name), root)
    present = len({row["label"] for row in found})
    return Listing(
        classes=list(wnids()),
        samples=table(found, root, what),
        policy=_ALL,
        licence="ImageNet-V2: MIT licence, images their owners'.",
        groups=[[number] for number in range(1000)],
        notes=[] if present == 1000 else [f"{present} of 1000 classes have images"],
    )


@register("imagenet_c")
def imagenet_c(path: Path, reference: Path | None = None, **options: object) -> Listing:
    """ImageNet-C (Hendrycks and Dietterich 2019): <corruption>/<1–5>/<wnid>, flat or under noise, blur, ….

    An image is one object under all its corruptions. ``reference`` gives the clean ones.
    """
    what = "ImageNet-C has <corruption>/<1-5>/<wnid>/, flat or under noise, blur, weather and digital"
    root = need_folder(path, what)
    places: dict[str, Path] = {}
    for folder in folders_in(root):
        inside = folders_in(folder) if folder.name in KINDS_OF_CORRUPTION else [folder]
        for corruption in inside:
            if corruption.name not in CORRUPTIONS:
                raise UserError(f"data.path: {corruption} is no corruption of ImageNet-C; {what}")
            if corruption.name in places:
                raise UserError(f"data.path: {corruption.name} is there twice; keep one")
            places[corruption.name] = corruption
    found, severities = [], set()
    for name, corruption in places.items():
        for severity in folders_in(corruption):
            if severity.name not in ("1", "2", "3", "4", "5"):
                raise UserError(f"data.path: {severity} is no severity from 1 to 5; {what}")
            severities.add((name, severity.name))
            for folder in folders_in(severity):
                found += rows(
                    images_in(folder), index_of(folder.name, folder), root,
                    ("corruption", name, severity.name), named=False,
                )  # fmt: skip
    missing = [f"{name}/{s}" for name in CORRUPTIONS[:15] for s in "12345" if (name, s) not in severities]
    notes = [f"missing: {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}"] if missing else []
    if reference:
        found += _reference(reference, list(range(1000)))
    else:
        notes.append("no clean images: set data.reference to ImageNet's validation images")
    return Listing(
        classes=list(wnids()),
        samples=table(found, root, what),
        policy=_ALL + " Centre crop alone.",
        licence="ImageNet-C: CC BY 4.0 on the corruptions; " + RESEARCH,
        groups=[[number] for number in range(1000)],
        fit="centre",
        notes=notes,
    )


@register("imagenet9")
def imagenet9(path: Path, mapping: Path | None = None, **options: object) -> Listing:
    """The Backgrounds Challenge (Xiao et al. 2021): <variant>/val/<class>; folder names hold spaces.

    ``mapping`` is in_to_in9.json (default: beside the variants). Outputs that it maps to −1 form an
    extra class, which is no image's label: predicting it is wrong.
    """
    what = "ImageNet-9 has <variant>/val/<class>/, the variants being " + ", ".join(VARIANTS)
    root = need_folder(path, what)
    groups = _nine(mapping or root / "in_to_in9.json")
    present = [variant for variant in VARIANTS if (root / variant / "val").is_dir()]
    if not present:
        raise UserError(f"data.path: {root} has none of the variants; {what}")
    found, classes = [], {}
    for variant in present:
        condition = ("clean", "none", "0") if variant == "original" else ("clutter", "swap", variant)
        for folder in folders_in(root / variant / "val"):
            number, _, name = folder.name.partition("_")
            if not number.isdecimal() or not 0 <= int(number) <= 8:
                raise UserError(f"data.path: {folder} is no class folder such as '02_wheeled vehicle'")
            classes[int(number)] = name
            found += rows(images_in(folder), int(number), root, condition)
    names = [classes.get(number, f"class {number}") for number in range(9)]
    notes = [f"no class folder {number:02d}" for number in range(9) if number not in classes]
    notes += [f"no variant {variant}" for variant in VARIANTS if variant not in present]
    return Listing(
        classes=[*names, "none of the nine"],
        samples=table(found, root, what),
        policy="The largest of all 1000 outputs, mapped to the nine; outputs that map to none are wrong.",
        licence="Backgrounds Challenge: code MIT; " + RESEARCH,
        groups=groups,
        fit="squash",
        notes=notes,
    )


def _nine(path: Path) -> list[list[int]]:
    """The outputs of each of the nine classes, then those of none."""
    try:
        mapping = {int(key): int(value) for key, value in json.loads(path.read_text("utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UserError(f"data.mapping: {path} cannot be read as in_to_in9.json ({error})") from error
    if sorted(mapping) != list(range(1000)) or not set(mapping.values()) <= set(range(-1, 9)):
        raise UserError(f"data.mapping: {path} does not map 0 to 999 to classes 0 to 8 or -1")
    groups = [[key for key, value in sorted(mapping.items()) if value == number] for number in range(9)]
    return [*groups, [key for key, value in sorted(mapping.items()) if value == -1]]
