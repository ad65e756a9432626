"""What a class score rests on in truth: parts of a cluttered scene are replaced by what is behind them.

Each distractor, by its exact mask (those that touch in the image count as one), gives way to the pixels of
the same scene without distractors; the object to the median colour of that scene's background, which is
plain. Shadows stay. How well a map ranks the changes is the single deletion of R. Hesse, S. Schaub-Meyer and
S. Roth (FunnyBirds, ICCV 2023), with the size of a part as control.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from robustness.data.image_set import BACKGROUND, DISTRACTOR, TARGET
from robustness.probes.attribution import rank_correlation

LEAST_AREA = 0.005
"""Smaller parts are left out, in shares of the image."""
LEAST_PARTS = 3
"""Fewer have no order that a map could hit or miss."""


def parts(masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The object and the distractors of each scene: their pixels (R, H, W) bool, the scene of each (R,), and
    whether it is the object (R,). Masks uint8 (N, H, W) with the values of ``image_set``."""
    from scipy import ndimage

    found: list[tuple[np.ndarray, int, bool]] = []
    for scene, mask in enumerate(masks.cpu().numpy()):
        numbered, count = ndimage.label(mask == DISTRACTOR, np.ones((3, 3)))
        found.append((mask == TARGET, scene, True))
        found += [(numbered == each, scene, False) for each in range(1, count + 1)]
    pixels, scenes, is_object = zip(*found, strict=True)
    where = torch.from_numpy(np.stack(pixels))
    large = where.flatten(1).float().mean(1) >= LEAST_AREA
    return where[large], torch.tensor(scenes)[large], torch.tensor(is_object)[large]


@torch.no_grad()
def effects(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    masks: Tensor,
    twins: Tensor,
    found: tuple[Tensor, Tensor, Tensor],
    batch: int = 128,
) -> Tensor:
    """What each of the ``found`` :func:`parts` adds to its scene's class score: the logit of the label less
    the logit without the part (R,). ``twins`` (N, 3, H, W): the scenes (N, 3, H, W) without distractors."""
    where, scenes, is_object = found
    device = images.device
    ground = [
        twin[:, mask == BACKGROUND].median(1).values if (mask == BACKGROUND).any() else twin.mean((1, 2))
        for twin, mask in zip(twins, masks.to(device), strict=True)
    ]
    colour = torch.stack(ground)[:, :, None, None]
    whole = model(images).gather(1, labels[:, None])[:, 0]
    without = []
    for chunk in torch.arange(len(where)).split(batch):
        own = scenes[chunk].to(device)
        behind = torch.where(is_object[chunk].to(device)[:, None, None, None], colour[own], twins[own])
        pictures = torch.where(where[chunk].to(device)[:, None], behind, images[own])
        without.append(model(pictures).gather(1, labels[own][:, None])[:, 0])
    return (whole[scenes.to(device)] - torch.cat(without)).cpu()


def relevance(maps: Tensor, found: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """The sum of its scene's map (N, H, W) over each part (R,)."""
    where, scenes, _ = found
    return (maps.cpu()[scenes] * where).flatten(1).sum(1)


def agreement(a: Tensor, b: Tensor, scenes: Tensor, count: int) -> np.ndarray:
    """Spearman's correlation of two numbers of the parts (R,), scene by scene: (N,) for ``count`` scenes.

    NaN for fewer than ``LEAST_PARTS`` parts, and where all have the same number.
    """
    values = np.full(count, np.nan)
    for scene in range(count):
        own = scenes == scene
        if own.sum() >= LEAST_PARTS:
            values[scene] = float(rank_correlation(a[own][None], b[own][None]))
    return values


def share_of_distractors(changes: Tensor, scenes: Tensor, is_object: Tensor, count: int) -> np.ndarray:
    """The distractors' share of the sum of all changes' sizes, by scene (N,); NaN where nothing changes."""
    size = changes.abs()
    total = torch.zeros(count).index_add(0, scenes, size)
    others = torch.zeros(count).index_add(0, scenes, size * ~is_object)
    return torch.where(total > 0, others / total, torch.nan).numpy()
