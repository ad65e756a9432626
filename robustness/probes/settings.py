"""The settings of the probes."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from robustness import probes
from robustness.errors import UserError, at
from robustness.settings import Settings, check_types


class ProbeSettings(Settings):
    """The probes (name → settings) and how many clean test images they look at.

    ``placed``: what is put into the clean map of the last layer: conditions of the image set, as
    ``pose/azimuth/90``, and ``attack/<ε in 255ths>``, images attacked by PGD in L∞; at most
    ``placed_images`` each.
    """

    images: int = Field(ge=8)
    placed: list[str] = Field(default=[])
    placed_images: int = Field(default=60, ge=1)
    probes: dict[str, dict[str, Any]] = Field(min_length=1)

    @field_validator("placed")
    @classmethod
    def _conditions(cls, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise ValueError("a condition stands there twice; leave one out")
        for name in value:
            parts = name.split("/")
            if len(parts) != (2 if parts[0] == "attack" else 3):
                raise ValueError(f"{name!r} is neither shift/factor/level nor attack/ε")
            if parts[0] == "attack" and not 0 < _number(parts[1]) <= 255:
                raise ValueError(f"{name!r}: the ε of an attack is a number above 0 and up to 255")
        return value

    def check(self) -> None:
        with at("probes"):
            for name, settings in self.probes.items():
                probe = probes.get(name)
                if "placed" in settings:
                    raise UserError("placed belongs one level up, under probe.placed", name)
                with at(name, strip=f"probes.{name}: "):
                    probe.check(settings)
                    check_types(settings, probe.run)


def _number(text: str) -> float:
    """The number that a text stands for, NaN if it stands for none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
