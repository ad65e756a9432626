"""What every group of settings is built on: declared once, by the code that they steer."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen group of settings: unknown keys are errors, values keep their types, bounds are checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
