"""Corruptions against known answers."""

import io
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from PIL import Image

from robustness import shifts
from robustness.errors import UserError
from robustness.shifts import corruption, filters


def apply(name: str, severity: int, images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    seeds = range(seed, seed + len(images))
    return shifts.get(f"corruption/{name}").apply(images, severity, seeds=seeds)


GREY = torch.full((4, 3, 64, 64), 0.5)


def test_noise_has_its_strength():
    assert (apply("gaussian_noise", 2, GREY) - 0.5).std().item() == pytest.approx(0.08, rel=0.02)
    shot = apply("shot_noise", 3, GREY)
    assert shot.mean().item() == pytest.approx(0.5, abs=0.005)
    assert shot.std().item() == pytest.approx((0.5 / 50) ** 0.5, rel=0.03)
    hit = apply("impulse_noise", 5, GREY)
    assert (hit != 0.5).float().mean().item() == pytest.approx(0.14, abs=0.005)
    assert set(hit[hit != 0.5].tolist()) == {0.0, 1.0}


def test_severities_share_their_noise():
    weak, strong = apply("gaussian_noise", 1, GREY) - 0.5, apply("gaussian_noise", 3, GREY) - 0.5
    inside = strong.abs() < 0.49
    assert torch.allclose(strong[inside], 3 * weak[inside], atol=1e-5)
    hit = [apply("impulse_noise", severity, GREY) != 0.5 for severity in (2, 5)]
    assert (hit[1] | ~hit[0]).all()


def test_blurs_keep_the_mean_of_a_spot():
    spot = torch.zeros(2, 3, 64, 64)
    spot[:, :, 32, 32] = 1.0
    for name in ("defocus_blur", "motion_blur"):
        for severity in (1, 5):
            outcome = apply(name, severity, spot)
            assert outcome.sum(dim=(2, 3)) == pytest.approx(torch.ones(2, 3), abs=1e-3), name
            assert outcome.max() < 0.75, name


def test_the_disc_covers_its_area():
    kernel = filters.disc(3.0)
    assert kernel.sum().item() == pytest.approx(1)
    assert kernel.max().item() == pytest.approx(1 / (torch.pi * 9), rel=0.01)
    assert torch.allclose(kernel, kernel.T)
    # A disc within one pixel still reaches its neighbours: the mean of |x| over a disc is 4r / 3π.
    assert filters.disc(0.3).sum(dim=0)[1].item() == pytest.approx(0.5 * 4 * 0.3 / (3 * torch.pi), rel=0.02)


def test_lengths_grow_with_the_image():
    """A disc of the same share of the image at 64 and 128 pixels."""
    shares = []
    for size in (64, 128):
        spot = torch.zeros(1, 3, size, size)
        spot[..., size // 2, size // 2] = 1
        shares.append((apply("defocus_blur", 4, spot)[0, 0] > 1e-4).float().mean().item())
    assert shares[1] == pytest.approx(shares[0], rel=0.35)


def test_glass_takes_pixels_from_nearby():
    """The places that pixels come from, read off ramps: 0 or 1 to the left and above, each with one half."""
    ramp = torch.arange(64.0).expand(3, 64, 64)
    images = torch.stack([ramp, ramp.transpose(1, 2)]) / 255
    across, down = (apply("glass_blur", 1, images, seed=5) * 255).round()[:, 0]
    moved = torch.stack([across - ramp[0], down - ramp[0].T])
    assert set(moved.flatten().tolist()) == {-1.0, 0.0}
    assert moved[:, 2:, 2:].mean(dim=(1, 2)).tolist() == pytest.approx([-0.5, -0.5], abs=0.03)
    assert (moved[:, :2] == 0).all()  # the rim stays


def test_elastic_displaces_by_its_strength():
    """A uniform field blurred with σ has the standard deviation 1 / √3 / (2 √π σ)."""
    side = 64
    ramp = torch.linspace(0.2, 0.8, side).expand(8, 3, side, side)
    affine, bent = apply("elastic_transform", 1, ramp), apply("elastic_transform", 5, ramp)
    centre = (slice(None), 0, slice(16, 48), slice(16, 48))
    second = affine[centre].diff(n=2, dim=2)
    assert second.abs().max() < 1e-5  # straight stays straight
    pixels = (bent - ramp)[centre] / (0.6 / (side - 1))
    local = pixels - pixels.mean(dim=(1, 2), keepdim=True)
    strength, smoothing, _ = corruption.ELASTIC[-1]
    expected = strength / (12**0.5 * torch.pi**0.5 * smoothing)
    assert local.std().item() == pytest.approx(expected, rel=0.35)
    assert torch.allclose(apply("elastic_transform", 3, GREY), GREY)


def test_snow_falls_and_pales():
    black = torch.zeros(8, 3, 64, 64)
    light = apply("snow", 1, black)
    assert torch.allclose(light, light.flip(2, 3))  # the flakes and themselves turned by half a circle
    pale = 0.2 * 0.5
    assert light.min().item() == pytest.approx(pale, abs=1e-3)
    flakes = light - pale
    assert flakes.diff(dim=3).abs().mean() > 1.3 * flakes.diff(dim=2).abs().mean()  # streaks run downwards
    means = [apply("snow", severity, black).mean().item() for severity in (1, 2, 3, 4, 5)]
    assert means == sorted(means)


def test_frost_adds_a_photograph(tmp_path, monkeypatch):
    for number, name in enumerate(corruption.FROST_PHOTOGRAPHS):
        Image.new("RGB", (400, 300), (40 * number, 255, 0)).save(tmp_path / name)
    monkeypatch.setattr(corruption, "_frost_folder", lambda: tmp_path)
    corruption.frost_photographs.cache_clear()
    outcome = apply("frost", 2, torch.full((16, 3, 64, 64), 0.5))
    corruption.frost_photographs.cache_clear()
    assert outcome[:, 1].unique().tolist() == pytest.approx([0.9 * 0.5 + 0.4], abs=0.005)
    reds = {round((value - 0.45) / 0.4 * 255 / 40) for value in outcome[:, 0, 0, 0].tolist()}
    assert reds == {0, 1, 2, 3, 4}


def test_frost_without_its_photographs_is_refused(monkeypatch):
    monkeypatch.setattr(corruption.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"corruption/frost: needs .* pip install --no-deps imagecorruptions"):
        shifts.get("corruption/frost").require()


@pytest.mark.skipif(find_spec("imagecorruptions") is None, reason="needs the package imagecorruptions")
def test_frost_has_its_five_photographs():
    photographs = corruption.frost_photographs(1.0)
    assert len(photographs) == 5
    assert all(min(each.shape[1:]) > 64 for each in photographs)
    means = [apply("frost", severity, GREY).mean().item() for severity in (1, 5)]
    assert 0.5 < means[0] < means[1]


def test_motion_smears_along_a_line_within_its_angle():
    spot = torch.zeros(8, 3, 64, 64)
    spot[..., 32, 32] = 1
    for picture in apply("motion_blur", 5, spot)[:, 0]:
        rows, columns = torch.nonzero(picture > 0.01).unbind(dim=1)
        points = torch.stack([columns, rows]).double()
        values, vectors = torch.linalg.eigh(torch.cov(points))
        assert values[1] > 4 * values[0]
        angle = torch.rad2deg(torch.atan(vectors[1, 1] / vectors[0, 1])).item()
        assert -50 < angle < 50


def test_brightness_keeps_hue_and_saturation():
    colour = torch.tensor([0.4, 0.2, 0.1]).view(1, 3, 1, 1).expand(1, 3, 8, 8).contiguous()
    outcome = apply("brightness", 2, colour)[0, :, 0, 0]
    assert outcome.tolist() == pytest.approx([0.6, 0.3, 0.15], abs=1e-6)
    black = apply("brightness", 2, torch.zeros(1, 3, 8, 8))
    assert black.unique().tolist() == pytest.approx([0.2])
    assert apply("brightness", 5, torch.full((1, 3, 8, 8), 0.9)).max() == 1


def test_contrast_keeps_the_mean():
    images = torch.rand(2, 3, 32, 32)
    outcome = apply("contrast", 4, images)
    assert torch.allclose(outcome.mean(dim=(2, 3)), images.mean(dim=(2, 3)), atol=1e-6)
    assert torch.allclose(outcome.std(dim=(2, 3)), 0.1 * images.std(dim=(2, 3)), atol=1e-6)


def test_pixelate_makes_blocks():
    outcome = apply("pixelate", 5, torch.rand(1, 3, 64, 64))[0, 0]
    blocks = outcome.view(32, 2, 32, 2)
    assert torch.equal(blocks.amax(dim=(1, 3)), blocks.amin(dim=(1, 3)))


def test_boxes_average_by_overlap():
    weights = filters.box_weights(3, 2)
    assert weights.tolist() == [pytest.approx([2 / 3, 1 / 3, 0]), pytest.approx([0, 1 / 3, 2 / 3])]


def test_fog_only_veils():
    black = apply("fog", 3, torch.zeros(2, 3, 64, 64))
    assert black.max() == 0  # nothing brighter than the image's own brightest point
    grey = apply("fog", 3, GREY)
    assert grey.max() <= 0.5 + 1e-6
    assert grey.std() > 0.03


def test_jpeg_is_pillows():
    images = torch.rand(1, 3, 64, 64)
    pixels = (images[0] * 255).round().byte().permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=25)
    expected = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) / 255
    assert torch.equal(apply("jpeg_compression", 5, images)[0], expected)
