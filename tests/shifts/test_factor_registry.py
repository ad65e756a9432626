"""The registry of factors: what stands in it, and what is refused."""

from __future__ import annotations

import pytest

from robustness import shifts
from robustness.errors import UserError
from robustness.shifts.rendered import sphere_level


@pytest.mark.parametrize("name", shifts.names())
def test_every_factor_is_whole(name: str) -> None:
    factor = shifts.get(name)
    assert factor.id == name
    assert factor.unit
    assert factor.description
    assert len(set(factor.levels)) == len(factor.levels)
    for level in factor.levels:
        factor.parse(level, text=False)
    if name not in ("pose/sphere", "pose/random"):
        assert factor.clean_level in factor.levels


def test_names_by_where_they_act() -> None:
    rendered = shifts.names("rendered")
    assert {"pose/azimuth", "clutter/distractors", "clutter/background", "light/azimuth"} <= set(rendered)
    assert not set(rendered) & set(shifts.names("image"))
    assert set(rendered) | set(shifts.names("image")) | set(shifts.names("masked")) == set(shifts.names())


@pytest.mark.parametrize(
    ("shift", "factor", "level", "message"),
    [
        ("pose", "azimut", 0, r"factor 'pose/azimut' is unknown; did you mean pose/azimuth"),
        ("pose", "azimuth", 181, "level 181 is not a number from 0 to 180 degrees"),
        ("pose", "azimuth", "30", "level '30' is not a number"),
        ("pose", "azimuth", True, "level True is not a number"),
        ("pose", "azimuth", float("nan"), "level nan is not a number"),
        (
            "clutter",
            "background",
            "forest",
            "has no level 'forest'; allowed are plain, gradient, noise, room",
        ),
        ("clutter", "occlusion", 1, "level 1 is not a number from 0 to 0.9"),
    ],
)
def test_what_is_unknown_or_out_of_range_is_refused(shift, factor, level, message: str) -> None:
    with pytest.raises(UserError, match=message):
        shifts.check(shift, factor, level)


def test_places_on_the_sphere_have_levels() -> None:
    assert sphere_level(22.5, -30) in shifts.get("pose/sphere").levels
