"""What every image-space factor promises, over the registry."""

from itertools import pairwise

import pytest
import torch

from robustness import shifts
from robustness.errors import UserError
from robustness.shifts.background import Donors
from robustness.shifts.image_factors import border_colour, pink_noise

FROST = "corruption/frost"  # needs photographs: tests of its own in test_corruption
NAMES = [name for name in (*shifts.names("image"), *shifts.names("masked")) if name != FROST]
SIZE = 32


def images(count: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def masks(count: int = 6) -> torch.Tensor:
    result = torch.zeros(count, SIZE, SIZE, dtype=torch.uint8)
    for number in range(count):
        result[number, 8 : 20 + number, 10:24] = 1
        result[number, 8:12, 10:14] = 0
    result[:, :4] = 2  # a distractor is no target
    return result


DONORS = Donors(images(20, seed=9), masks(20), torch.arange(20) % 4, torch.arange(20), 4)


def apply(name: str, level, x: torch.Tensor, rows=None) -> torch.Tensor:
    rows = torch.arange(len(x)) if rows is None else torch.as_tensor(rows)
    return shifts.get(name).apply(
        x,
        level,
        seeds=[1000 + int(row) for row in rows],
        masks=masks(len(images()))[rows],
        donors=DONORS,
        labels=rows % 4,
        ids=100 + rows,
    )


def test_the_registry_has_them():
    assert len(NAMES) == 23
    assert {"plane/rotation", "clutter/swap", "corruption/jpeg_compression"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_clean_level_is_the_image_bit_for_bit(name):
    x = images()
    factor = shifts.get(name)
    assert factor.levels[0] == factor.clean_level
    assert torch.equal(apply(name, factor.clean_level, x), x)
    assert torch.equal(apply(name, str(factor.clean_level), x), x)


@pytest.mark.parametrize("name", NAMES)
def test_every_level_changes_the_image_and_keeps_its_range(name):
    x = images()
    kept = x.clone()
    outcomes = [apply(name, level, x) for level in shifts.get(name).levels[1:]]
    assert torch.equal(x, kept), "the input was written to"
    for outcome in outcomes:
        assert outcome.shape == x.shape
        assert outcome.dtype == x.dtype
        assert outcome.min() >= 0
        assert outcome.max() <= 1
        assert (outcome - x).abs().amax(dim=(1, 2, 3)).min() > 0.05
    for first, second in pairwise(outcomes):
        assert not torch.equal(first, second)


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_depends_on_its_own_seed_and_not_on_its_batch(name):
    x = images()
    level = shifts.get(name).levels[2]
    together = apply(name, level, x)
    order = [4, 0, 2]
    some = apply(name, level, x[order], rows=order)
    assert torch.allclose(some, together[order], atol=1e-6)
    assert torch.equal(apply(name, level, x), together)


CHANGES = {
    "plane/rotation": 0.279780,
    "plane/perspective": 0.218800,
    "plane/scale": 0.251650,
    "plane/shift": 0.314320,
    "clutter/patches": 0.024530,
    "clutter/cover": 0.121873,
    "corruption/gaussian_noise": 0.060645,
    "corruption/shot_noise": 0.050685,
    "corruption/impulse_noise": 0.009834,
    "corruption/defocus_blur": 0.145340,
    "corruption/glass_blur": 0.217278,
    "corruption/motion_blur": 0.082043,
    "corruption/zoom_blur": 0.146122,
    "corruption/snow": 0.162739,
    "corruption/fog": 0.129438,
    "corruption/brightness": 0.098392,
    "corruption/contrast": 0.174588,
    "corruption/elastic_transform": 0.266984,
    "corruption/pixelate": 0.171615,
    "corruption/jpeg_compression": 0.195409,
    "clutter/cover_target": 0.137151,
    "clutter/texture": 0.123884,
    "clutter/swap": 0.272893,
}
"""The mean absolute change of a value at the second level after the clean one."""


@pytest.mark.parametrize("name", NAMES)
def test_the_change_of_a_seed_is_the_same_on_every_machine(name):
    x = images()
    change = (apply(name, shifts.get(name).levels[2], x) - x).abs().double().mean().item()
    assert change == pytest.approx(CHANGES[name], rel=1e-3)


RANDOM = [name for name in NAMES if name.split("/")[1] in ("rotation", "shift", "patches", "gaussian_noise")]


@pytest.mark.parametrize("name", RANDOM)
def test_other_seeds_give_other_draws(name):
    factor = shifts.get(name)
    x = images(1).expand(16, -1, -1, -1).contiguous()
    outcome = factor.apply(x, factor.levels[2], seeds=range(16))
    assert len(torch.unique(outcome.flatten(1), dim=0)) > 1


# Those of ImageNet-C do not: their severities trade blur for shuffling, large bends for small ones.
NOT_ORDERED = ("corruption/glass_blur", "corruption/elastic_transform")


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("corruption/") and n not in NOT_ORDERED])
def test_corruptions_get_worse_with_severity(name):
    """On a smooth picture the distance to the clean image grows from severity to severity."""
    y, x = torch.meshgrid(torch.linspace(0, 6, 64), torch.linspace(0, 6, 64), indexing="ij")
    smooth = torch.stack([x.sin() * y.cos(), (x + y).sin(), (x * 2).cos()]) * 0.3 + 0.5
    batch = smooth.expand(8, -1, -1, -1).contiguous()
    distance = [
        (shifts.get(name).apply(batch, severity, seeds=range(8)) - batch).pow(2).mean().item()
        for severity in range(6)
    ]
    assert distance[0] == 0
    assert distance == sorted(distance)
    assert distance[5] > 1.3 * distance[1]


@pytest.mark.parametrize(
    ("name", "level", "message"),
    [
        ("plane/rotation", 200, "from 0 to 180"),
        ("plane/rotation", "left", "'left'"),
        ("plane/rotation", True, "True"),
        ("plane/rotation", None, "None"),
        ("clutter/patches", 1.5, "whole number"),
        ("corruption/fog", 6, "allowed are 0, 1, 2, 3, 4, 5"),
        ("clutter/swap", "mixed", "mixed_same"),
    ],
)
def test_a_wrong_level_is_named(name, level, message):
    with pytest.raises(UserError, match=message):
        apply(name, level, images())


def test_text_and_number_name_the_same_level():
    x = images()
    assert torch.equal(apply("plane/scale", "0.5", x), apply("plane/scale", 0.5, x))
    assert torch.equal(apply("corruption/fog", "3", x), apply("corruption/fog", 3, x))


def test_masks_are_asked_for():
    x = images(2)
    for name in shifts.names("masked"):
        factor = shifts.get(name)
        assert factor.needs_masks
        with pytest.raises(UserError, match="needs exact masks"):
            factor.apply(x, factor.levels[1], seeds=[0, 1])
    with pytest.raises(ValueError, match="1 seeds"):
        shifts.get("plane/shift").apply(x, 0.1, seeds=[0])


def test_an_empty_batch_stays_empty():
    assert apply("corruption/fog", 3, images(0)).shape == (0, 3, SIZE, SIZE)


def test_pink_noise_has_its_spectrum():
    from robustness.shifts.image_factors import Draws

    field = pink_noise(Draws(range(40), torch.device("cpu")), 1, 64, 64, exponent=1.5)
    assert field.std(dim=(2, 3)).sub(1).abs().max() < 1e-4
    assert field.mean(dim=(2, 3)).abs().max() < 1e-4
    power = torch.fft.rfft2(field).abs().pow(2).mean(dim=(0, 1))
    low, high = power[0, 4], power[0, 16]
    assert torch.log2(low / high) == pytest.approx(2 * 1.5 * 2, abs=0.7)  # two octaves, amplitude²


def test_border_colour_is_the_ground():
    x = torch.full((1, 3, 9, 9), 0.25)
    x[:, :, 2:7, 2:7] = 0.9
    x[:, :, 0, :3] = 1.0  # a few pixels that touch the border do not matter
    assert border_colour(x).flatten().tolist() == [0.25] * 3
