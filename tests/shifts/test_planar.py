"""Rotation, perspective, scale and shift against known answers."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustness import shifts
from robustness.shifts.planar import CAMERA_DISTANCE


def blob(size: int = 32, x: float = 0.0, y: float = 0.0, sd: float = 2.0) -> torch.Tensor:
    """A bright spot at (x, y) pixels from the centre, on black."""
    line = torch.arange(size) - (size - 1) / 2
    return torch.exp(-((line[None, :] - x) ** 2 + (line[:, None] - y) ** 2) / (2 * sd * sd)).expand(3, -1, -1)


def centre(images: torch.Tensor) -> torch.Tensor:
    """The centroid (N, 2) as (x, y) pixels from the centre."""
    line = torch.arange(images.shape[-1]) - (images.shape[-1] - 1) / 2
    mass = images.sum(dim=(1, 2, 3))
    x = (images.sum(dim=(1, 2)) * line).sum(dim=1) / mass
    y = (images.sum(dim=(1, 3)) * line).sum(dim=1) / mass
    return torch.stack([x, y], dim=1)


def apply(name: str, level: float, image: torch.Tensor, count: int = 12) -> torch.Tensor:
    batch = image.expand(count, -1, -1, -1).contiguous()
    return shifts.get(f"plane/{name}").apply(batch, level, seeds=range(count))


def test_quarter_and_half_turns_are_exact():
    image = torch.rand(3, 32, 32)
    image[:, [0, -1]] = 0.3  # an even border, so that rounding at the rim fills with it
    image[:, :, [0, -1]] = 0.3
    turned = apply("rotation", 90, image)
    sides = [image.rot90(1, (1, 2)), image.rot90(-1, (1, 2))]
    near = [[bool((outcome - side).abs().max() < 1e-4) for side in sides] for outcome in turned]
    assert all(left != right for left, right in near)
    assert len(set(map(tuple, near))) == 2, "both sides are drawn"
    assert torch.allclose(
        apply("rotation", 180, image), image.rot90(2, (1, 2)).expand(12, -1, -1, -1), atol=1e-4
    )


def test_a_turn_moves_a_spot_by_its_angle():
    spots = centre(apply("rotation", 30, blob(x=8)))
    assert spots.norm(dim=1) == pytest.approx(torch.full((12,), 8.0), abs=0.05)
    angles = torch.rad2deg(torch.atan2(spots[:, 1], spots[:, 0])).abs()
    assert angles == pytest.approx(torch.full((12,), 30.0), abs=0.5)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([0.1, 0.2, 0.3]), st.integers(0, 2**40))
def test_a_shift_moves_by_its_length_and_loses_nothing(level, seed):
    image = blob(40, sd=1.0)
    moved = shifts.get("plane/shift").apply(image[None], level, seeds=[seed])
    assert centre(moved).norm().item() == pytest.approx(level * 40, abs=1.0)
    # Whole pixels: the same values elsewhere.
    assert torch.equal(moved.flatten().sort().values[-40:], image.flatten().sort().values[-40:])


def test_a_smaller_picture_has_less_area():
    image = torch.zeros(3, 64, 64)
    image[:, 16:48, 16:48] = 1.0
    areas = [apply("scale", level, image, 1).mean().item() for level in (0, 1, 2)]
    assert areas == pytest.approx([0.25, 0.25 / 4, 0.25 / 16], rel=0.02)
    assert centre(apply("scale", 1, image, 1)).abs().max() < 0.6


def test_perspective_shrinks_across_the_axis_only():
    """A disc of radius r tilted by t: r along the axis, r cos t across it, up to the pinhole's distortion."""
    line = (torch.arange(128) + 0.5) / 64 - 1
    disc = ((line[None] ** 2 + line[:, None] ** 2) <= 0.3**2).float().expand(3, -1, -1)
    outcome = apply("perspective", 60, disc, 6)
    area = outcome.mean(dim=(1, 2, 3)) / disc.mean()
    # The determinant of the projection at the centre is cos t.
    assert area == pytest.approx(torch.full((6,), math.cos(math.radians(60))), rel=0.08)
    for picture in outcome[:, 0]:
        rows, columns = torch.nonzero(picture > 0.5).unbind(dim=1)
        points = torch.stack([columns, rows]).double()
        spread = torch.linalg.eigvalsh(torch.cov(points)).sqrt()
        assert (spread[0] / spread[1]).item() == pytest.approx(0.5, rel=0.08)


def test_perspective_makes_the_near_side_larger():
    image = blob(128, x=30, sd=3) + blob(128, x=-30, sd=3)
    outcome = apply("perspective", 45, image, 40)
    left, right = outcome[..., :64].sum(dim=(1, 2, 3)), outcome[..., 64:].sum(dim=(1, 2, 3))
    largest = torch.maximum(left, right) / torch.minimum(left, right)
    # Scale is D / (D ± z) with z = x sin t ≤ 30/64 sin 45°; area goes with its cube (tilted plane).
    z = 30 / 64 * math.sin(math.radians(45))
    bound = ((CAMERA_DISTANCE + z) / (CAMERA_DISTANCE - z)) ** 3
    assert largest.max().item() == pytest.approx(bound, rel=0.1)
    assert largest.min() < 1.15


def test_the_ground_continues():
    image = blob() * 0.5 + 0.3
    for name in ("rotation", "perspective", "scale", "shift"):
        outcome = apply(name, shifts.get(f"plane/{name}").levels[-1], image)
        assert outcome.min() > 0.299, name
