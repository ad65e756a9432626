"""Augmentation: each effect within its bounds, seeded, and nothing when it is off."""

from __future__ import annotations

import pytest
import torch

from robustness.augmentation import Augmentation


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def augment(**settings: float) -> Augmentation:
    """Nothing but what the settings ask for."""
    return Augmentation(**{"translate_pixels": 0, "hflip": False} | settings)


def test_flips_half_and_translates_within_bounds() -> None:
    image = torch.zeros(400, 3, 9, 9)
    image[:, :, 4, 6] = 1.0
    out = augment(translate_pixels=2, hflip=True)(image, seeded())
    peak = out[:, 0].flatten(1).argmax(1)
    dy, x = peak // 9 - 4, peak % 9
    assert set(dy.tolist()) == {-2, -1, 0, 1, 2}
    flipped = x <= 4  # the flipped point is at column 2, translated by at most 2
    assert set((x[~flipped] - 6).tolist()) <= {-1, 0, 1, 2}
    assert 0.4 < flipped.float().mean() < 0.65


def test_nothing_asked_changes_nothing() -> None:
    image = torch.rand(5, 3, 8, 8, generator=seeded())
    assert torch.equal(augment()(image, seeded()), image)


def test_scale_jitter_multiplies_sizes_within_its_range() -> None:
    image = torch.zeros(300, 3, 64, 64)
    image[:, :, 22:42, 22:42] = 1.0
    out = augment(scale_jitter=0.5)(image, seeded())
    sides = out[:, 0].sum((1, 2)).sqrt() / 20
    assert sides.min() == pytest.approx(1 / 1.5, abs=0.05)
    assert sides.max() == pytest.approx(1.5, abs=0.05)
    assert sides.log().mean().abs() < 0.05
    centre = out[:, 0].sum(1) @ torch.arange(64.0) / out[:, 0].sum((1, 2))
    assert (centre - 31.5).abs().max() < 0.05


def test_scaled_images_are_translated_and_flipped_too() -> None:
    image = torch.zeros(400, 3, 64, 64)
    image[:, :, 28:36, 44:52] = 1.0  # 16 pixels right of the middle
    out = augment(scale_jitter=1e-4, translate_pixels=4, hflip=True)(image, seeded())
    centre = out[:, 0].sum(1) @ torch.arange(64.0) / out[:, 0].sum((1, 2)) - 31.5
    assert 0.4 < (centre < 0).float().mean() < 0.6
    assert (centre.abs() - 16).abs().max() < 4.01
    assert (centre.abs() - 16).abs().max() > 3.5


def test_color_jitter_scales_and_stays_in_range() -> None:
    image = torch.full((500, 3, 4, 4), 0.4)
    out = augment(color_jitter=0.4)(image, seeded())
    ratio = (out / image).log()[..., 0, 0]
    assert ratio.abs().max() <= 0.6 + 1e-5
    assert ratio.abs().max() > 0.45
    assert ratio.mean().abs() < 0.05
    assert (ratio.max(1).values - ratio.min(1).values).max() > 0.2  # the channels differ
    assert augment(color_jitter=2.0)(torch.rand(50, 3, 4, 4), seeded()).max() <= 1


def test_grayscale_takes_the_colour_of_its_share() -> None:
    image = torch.rand(1000, 3, 2, 2, generator=seeded())
    out = augment(grayscale=0.3)(image, seeded())
    gray = (out[:, 0] == out[:, 2]).all((1, 2))
    assert gray.float().mean() == pytest.approx(0.3, abs=0.05)
    torch.testing.assert_close(out[~gray], image[~gray])


def test_random_erasing_fills_one_rectangle_in_its_share() -> None:
    image = torch.full((1000, 3, 32, 32), 0.5)
    out = augment(random_erasing=0.4)(image, seeded())
    changed = (out != image).any(1)
    hit = changed.any(2).any(1)
    assert hit.float().mean() == pytest.approx(0.4, abs=0.06)
    for mask in changed[hit][:50]:
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        box = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        assert mask.sum() == box
        assert box <= 0.36 * 32 * 32


@pytest.mark.parametrize("name", ["scale_jitter", "color_jitter", "grayscale", "random_erasing"])
def test_the_generator_decides(name: str) -> None:
    image = torch.rand(20, 3, 16, 16, generator=seeded())
    vary = augment(translate_pixels=2, hflip=True, **{name: 0.5})
    assert torch.equal(vary(image, seeded(3)), vary(image, seeded(3)))
    assert not torch.equal(vary(image, seeded(3)), vary(image, seeded(4)))


def test_resamples_as_an_affine_grid_does() -> None:
    from robustness.augmentation import _interpolation

    image = torch.rand(4, 3, 12, 12, generator=seeded())
    scale, dx, dy = (
        torch.tensor([1.3, 0.8, -1.1, 1.0]),
        torch.tensor([0.2, 0.0, 0.4, -0.3]),
        torch.tensor([0.1] * 4),
    )
    columns, rows = _interpolation(scale, dx, 12), _interpolation(scale.abs(), dy, 12)
    none = torch.zeros(4)
    matrix = torch.stack([torch.stack([scale, none, dx], 1), torch.stack([none, scale.abs(), dy], 1)], 1)
    grid = torch.nn.functional.affine_grid(matrix, [4, 3, 12, 12], align_corners=False)
    expected = torch.nn.functional.grid_sample(image, grid, padding_mode="border", align_corners=False)
    torch.testing.assert_close(rows[:, None] @ image @ columns[:, None].mT, expected)
