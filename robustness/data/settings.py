"""Which image set, and where it comes from."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from robustness.settings import Settings


class DataSettings(Settings):
    """The image set: ``objects`` (rendered 3-D models), ``digits``, ``mnist``, or one read from ``path``.

    ``reference`` (a folder that gives the clean images), ``mapping`` and ``policy`` belong to some sets only.
    ``library``: a folder of 3-D models; ``render``: see ``render_settings``. ``workers`` changes no result.
    """

    set: str
    path: str | None = None
    reference: str | None = None
    mapping: str | None = None
    policy: str | None = None
    image_size: int = Field(ge=16, le=512)
    library: str | None = None
    workers: int = Field(default=2, ge=1, le=256)
    render: dict[str, Any] = Field(default={})
