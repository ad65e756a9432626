"""Background swaps from exact masks, after ImageNet-9 (Xiao, Engstrom, Ilyas & Madry 2020, table 1).

- ``only_bg_b``: the bounding box of the target is black; ``only_bg_t``: it is filled with tiles of the
  largest strip of background that the box leaves (above, below, left or right of it)
- ``no_fg``: the target's own pixels are black, its outline stays; ``only_fg``: everything else is black
- ``mixed_same``, ``mixed_rand``, ``mixed_next``: the target where it was, on the ``only_bg_t`` of a random
  other image: of the same class, of a class drawn uniformly, or of the next class

The mixed levels take their backgrounds from :class:`Donors`, images of the same size with masks; the choice
belongs to the sample's seed and the donors, never to the batch. A sample's levels share its draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from robustness.errors import UserError
from robustness.shifts.image_factors import TARGET, Draws
from robustness.shifts.registry import register

MIXED = ("mixed_same", "mixed_rand", "mixed_next")
LEVELS = ("original", *MIXED, "only_fg", "no_fg", "only_bg_b", "only_bg_t")


class Rows(Protocol):
    """A tensor, or anything that gives its rows (n, …) when it is indexed by (n,) int64."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Donors:
    """Images from which backgrounds are taken.

    images: (M, 3, H, W) float32 in [0, 1]; masks: (M, H, W), 1 (or True) on the target; both are indexed by
    the donors that a batch takes, and may be read then. labels: (M,) int from 0 to ``classes`` − 1; ids: (M,)
    int, equal for images of one object: it never gets its own background. Raises UserError if a class has no
    donor.
    """

    images: Rows
    masks: Rows
    labels: Tensor
    ids: Tensor
    classes: int

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.masks) == len(self.labels) == len(self.ids):
            raise ValueError("donors: images, masks, labels and ids differ in number")
        missing = sorted(set(range(self.classes)) - set(self.labels.tolist()))
        if missing:
            raise UserError(f"donors: class {missing[0]} has no image to take a background from")


@register(
    "clutter/swap",
    levels=LEVELS,
    clean_level="original",
    unit="kind",
    applies="masked",
    description="the background is replaced, or the target taken away, as in ImageNet-9",
    needs_donors=True,
)
def swap(
    images: Tensor,
    level: str,
    draws: Draws,
    *,
    masks: Tensor,
    donors: Donors | None = None,
    labels: Tensor | None = None,
    ids: Tensor | None = None,
) -> Tensor:
    """The images with a background of the kind ``level``; masks (N, H, W) bool."""
    if level == "only_fg":
        return torch.where(masks[:, None], images, torch.zeros_like(images))
    if level == "no_fg":
        return torch.where(masks[:, None], torch.zeros_like(images), images)
    if level == "only_bg_b":
        return torch.where(boxes(masks)[:, None], torch.zeros_like(images), images)
    if level == "only_bg_t":
        return tiled(images, masks)
    if donors is None or labels is None or ids is None:
        raise UserError(f"shifts: clutter/swap level {level!r} needs donors, labels and ids")
    chosen = choose(level, draws, donors, labels, ids)
    backgrounds = tiled(donors.images[chosen], donors.masks[chosen] == TARGET).to(images)
    return torch.where(masks[:, None], images, backgrounds)


def choose(level: str, draws: Draws, donors: Donors, labels: Tensor, ids: Tensor) -> Tensor:
    """The donor of each sample, (N,) int. UserError if the sample's own object is the only candidate."""
    picks = draws.uniform(2).cpu()
    chosen = []
    for (pick, which), label, own in zip(picks.tolist(), labels.tolist(), ids.tolist(), strict=True):
        if level == "mixed_same":
            wanted = label
        elif level == "mixed_next":
            wanted = (label + 1) % donors.classes
        else:
            wanted = min(int(which * donors.classes), donors.classes - 1)
        pool = torch.nonzero((donors.labels == wanted) & (donors.ids != own)).flatten()
        if not len(pool):
            raise UserError(f"donors: class {wanted} has no image but those of the object itself")
        chosen.append(pool[min(int(pick * len(pool)), len(pool) - 1)])
    return torch.stack(chosen)


def boxes(masks: Tensor) -> Tensor:
    """The bounding boxes of masks (N, H, W) bool, as masks. An empty mask has an empty box."""
    rows, columns = masks.any(dim=2), masks.any(dim=1)
    return _between(rows)[:, :, None] & _between(columns)[:, None, :]


def tiled(images: Tensor, masks: Tensor) -> Tensor:
    """Each image with its target's bounding box filled by tiles of its largest strip of background.

    The strip is the largest of the four full-width or full-height ones beside the box. A target whose box is
    the whole image leaves no background: black.
    """
    result = images.clone()
    for number, mask in enumerate(masks):
        rows, columns = torch.nonzero(mask.any(dim=1)).flatten(), torch.nonzero(mask.any(dim=0)).flatten()
        if not len(rows):
            continue
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        left, right = int(columns[0]), int(columns[-1]) + 1
        image = images[number]
        strips = [image[:, :top], image[:, bottom:], image[:, :, :left], image[:, :, right:]]
        strip = max(strips, key=lambda each: each.shape[1] * each.shape[2])
        if strip.numel() == 0:
            result[number] = 0
            continue
        # Laid out from the image's own origin, so that a regular background continues through the box.
        rows_of = torch.arange(top, bottom, device=images.device) % strip.shape[1]
        columns_of = torch.arange(left, right, device=images.device) % strip.shape[2]
        result[number, :, top:bottom, left:right] = strip[:, rows_of][:, :, columns_of]
    return result


def _between(flags: Tensor) -> Tensor:
    """True from the first to the last True of each row (N, L)."""
    flags = flags.int()
    return (flags.cumsum(dim=1) > 0) & (flags.flip(1).cumsum(dim=1).flip(1) > 0)
