"""Patches, covers, textures and background swaps against known answers."""

from itertools import pairwise

import pytest
import torch

from robustness import shifts
from robustness.errors import UserError
from robustness.shifts.background import Donors, boxes, choose, tiled
from robustness.shifts.image_factors import Draws

SIZE = 48


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """Four images, each with a bright target in the middle of an even ground of its own colour."""
    images = torch.linspace(0.1, 0.4, 4)[:, None, None, None].expand(4, 3, SIZE, SIZE).clone()
    masks = torch.zeros(4, SIZE, SIZE, dtype=torch.uint8)
    masks[:, 14:32, 16:36] = 1
    masks[:, 14:18, 16:20] = 0  # a corner of the box is ground
    images[(masks == 1)[:, None].expand_as(images)] = 0.9
    return images, masks


def apply(name: str, level, **extras) -> torch.Tensor:
    images, masks = scene()
    return shifts.get(f"clutter/{name}").apply(images, level, seeds=range(4), masks=masks, **extras)


def test_patches_come_one_after_the_other_and_leave_the_middle():
    images, _ = scene()
    changed = [(apply("patches", n) != images).any(dim=1) for n in (1, 2, 4, 8)]
    for fewer, more in pairwise(changed):
        assert (more | ~fewer).all()
    middle = slice(SIZE // 2 - 3, SIZE // 2 + 3)
    assert not changed[-1][:, middle, middle].any()
    assert changed[-1].float().mean() > 0.05


@pytest.mark.parametrize("level", [0.2, 0.4, 0.6, 0.8])
def test_a_cover_hides_the_fraction_that_it_says(level):
    images, masks = scene()
    hidden = (apply("cover", level) != images).any(dim=1)
    assert hidden.float().mean(dim=(1, 2)) == pytest.approx(torch.full((4,), level), abs=0.03)
    hidden = (apply("cover_target", level) != images).any(dim=1) & (masks == 1)
    share = hidden.sum(dim=(1, 2)) / (masks == 1).sum(dim=(1, 2))
    assert share == pytest.approx(torch.full((4,), level), abs=0.04)


def test_texture_stays_behind_the_target():
    images, masks = scene()
    full, half = apply("texture", 1), apply("texture", 0.5)
    target = (masks == 1)[:, None].expand_as(images)
    assert torch.equal(full[target], images[target])
    assert torch.allclose(half[~target], (full[~target] + images[~target]) / 2, atol=1e-6)
    assert full[~target].std() > 0.05


def test_swaps_without_donors():
    images, masks = scene()
    target, box = (masks == 1)[:, None].expand_as(images), boxes(masks == 1)[:, None].expand_as(images)
    assert box[0, 0].sum() == 18 * 20
    only_fg, no_fg = apply("swap", "only_fg"), apply("swap", "no_fg")
    assert torch.equal(only_fg + no_fg, images)
    assert (only_fg[~target] == 0).all()
    assert (no_fg[target] == 0).all()
    black = apply("swap", "only_bg_b")
    assert (black[box] == 0).all()
    assert torch.equal(black[~box], images[~box])
    # An even ground goes on through the box: nothing of the target is left.
    ground = torch.linspace(0.1, 0.4, 4)[:, None, None, None].expand_as(images)
    assert torch.equal(apply("swap", "only_bg_t"), ground)


def test_tiles_come_from_the_largest_strip():
    image = torch.zeros(1, 3, 12, 12)
    image[:, :, 9:] = torch.tensor([0.2, 0.4, 0.6])[:, None]  # three rows below the box
    mask = torch.zeros(1, 12, 12, dtype=torch.bool)
    mask[:, 1:9, 1:11] = True
    filled = tiled(image, mask)[0, 0]
    assert filled[1:9, 5].tolist() == pytest.approx([0.4, 0.6, 0.2, 0.4, 0.6, 0.2, 0.4, 0.6])
    assert (tiled(torch.ones(1, 3, 4, 4), torch.ones(1, 4, 4, dtype=torch.bool)) == 0).all()
    empty = torch.zeros(1, 12, 12, dtype=torch.bool)
    assert torch.equal(tiled(image, empty), image)


def donors() -> Donors:
    """Three donors per class; the ground's value is 0.01 × (10 × class + number)."""
    labels = torch.arange(12) // 3
    value = 0.01 * (10 * labels + torch.arange(12) % 3)
    images = value[:, None, None, None].expand(12, 3, SIZE, SIZE).clone()
    masks = torch.zeros(12, SIZE, SIZE, dtype=torch.uint8)
    masks[:, 5:20, 5:20] = 1
    images[(masks == 1)[:, None].expand_as(images)] = 1.0
    return Donors(images, masks, labels, torch.arange(12), 4)


@pytest.mark.parametrize("level", ["mixed_same", "mixed_next", "mixed_rand"])
def test_mixed_backgrounds(level):
    images, masks = scene()
    labels = torch.arange(4)
    outcome = apply("swap", level, donors=donors(), labels=labels, ids=torch.full((4,), 99))
    target = (masks == 1)[:, None].expand_as(images)
    assert torch.equal(outcome[target], images[target])
    ground = outcome[:, 0, 0, 0]
    assert (outcome - ground[:, None, None, None])[
        ~target
    ].abs().max() < 1e-6  # no trace of the donor's target
    classes = torch.floor(ground * 10 + 1e-4).long()
    if level == "mixed_same":
        assert torch.equal(classes, labels)
    elif level == "mixed_next":
        assert torch.equal(classes, (labels + 1) % 4)


def test_the_class_of_mixed_rand_is_drawn_evenly_and_never_from_the_object_itself():
    count = 800
    draws = Draws(range(count), torch.device("cpu"))
    labels, ids = torch.zeros(count, dtype=torch.long), torch.ones(count, dtype=torch.long)
    chosen = choose("mixed_rand", draws, donors(), labels, ids)
    shares = torch.bincount(chosen // 3, minlength=4) / count
    assert shares == pytest.approx(torch.full((4,), 0.25), abs=0.05)
    assert (chosen != 1).all()
    same = choose("mixed_same", Draws(range(count), torch.device("cpu")), donors(), labels, ids)
    assert set(same.tolist()) == {0, 2}


def test_mistakes_about_donors_are_named():
    with pytest.raises(UserError, match="needs donors"):
        apply("swap", "mixed_same")
    lone = donors()
    with pytest.raises(UserError, match="class 3"):
        Donors(lone.images[:9], lone.masks[:9], lone.labels[:9], lone.ids[:9], 4)
    own = Donors(lone.images, lone.masks, lone.labels, lone.labels, 4)
    with pytest.raises(UserError, match="object itself"):
        apply("swap", "mixed_same", donors=own, labels=torch.arange(4), ids=torch.arange(4))
