"""Every probe by name: tidy tables, arrays, refusals, and a model that is left as it was."""

from __future__ import annotations

import pytest

from robustness import probes
from robustness.errors import UserError


def test_unknown_probe_names_the_known_ones() -> None:
    with pytest.raises(UserError, match="unknown probe 'filter'; did you mean filters"):
        probes.get("filter")


def test_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(
        UserError, match=r"probes\.embedding: unknown setting 'neighbors'; did you mean neighbours"
    ):
        probes.check("embedding", {"neighbors": 3})


def test_every_probe_has_a_line_and_settings() -> None:
    for name in probes.names():
        assert probes.describe(name)
        assert probes.defaults(name)
        assert not set(probes.defaults(name)) & {"model", "images", "labels", "seed", "progress"}
