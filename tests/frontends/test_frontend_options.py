"""Settings: published defaults, sizes of the visual field, and what is refused."""

from __future__ import annotations

import pytest

from robustness.errors import UserError
from robustness.frontends import FrontendOptions


def test_defaults_are_the_published_block():
    options = FrontendOptions()
    assert (options.simple_channels, options.complex_channels, options.kernel_size) == (256, 256, 25)
    assert (options.gain, options.noise_scale, options.noise_level) == (25, 0.35, 0.07)
    assert (options.noise, options.sampling, options.batch_norm) == ("neuronal", "published", False)


@pytest.mark.parametrize(
    ("size", "degrees", "ppd"),
    [(224, None, 28), (224, 8.0, 28), (64, None, 28), (64, 2.0, 32), (64, 64 / 28, 28)],
)
def test_pixels_per_degree(size, degrees, ppd):
    assert FrontendOptions(visual_degrees=degrees).pixels_per_degree(size) == pytest.approx(ppd)


def test_a_frequency_above_the_limit_is_refused_with_the_limit():
    with pytest.raises(UserError, match=r"sf_max: 8 .*limit of 5\.66 at 16 pixels/degree"):
        FrontendOptions(visual_degrees=4.0).pixels_per_degree(64)
    limit = 28 / (2 * 2**0.5)
    FrontendOptions(sf_max=limit).pixels_per_degree(224)
    with pytest.raises(UserError, match=r"limit of 9\.90"):
        FrontendOptions(sf_max=limit * 1.001).pixels_per_degree(224)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel_size": 24}, "kernel_size: 24 must be odd"),
        ({"simple_channels": -1}, "simple_channels: -1 is negative"),
        ({"simple_channels": 0, "complex_channels": 0}, "at least one cell"),
        ({"noise": "neural"}, "noise: 'neural' is unknown; did you mean neuronal"),
        ({"sampling": "flat"}, "sampling: 'flat' is unknown"),
        ({"sf_min": 3, "sf_max": 2}, "3 to 2 is no range"),
        ({"visual_degrees": 0}, "visual_degrees: 0 must be above 0"),
        ({"gain": 0.0}, "gain: 0.0 must be above 0"),
        ({"minimum_stride": 0}, "minimum_stride: 0 must be at least 1"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(settings, message):
    with pytest.raises(UserError, match=message):
        FrontendOptions(**settings)
