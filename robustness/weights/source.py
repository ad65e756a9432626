"""The names of weights: what a model can say under ``weights`` in place of ``train``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from robustness.errors import UserError, nearest

PACKAGES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "pyautoattack_resnet18")
KINDS = ("timm", "torchvision", "package", "file", "python", "checkpoint")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Source:
    """Where weights come from: ``kind`` is one of ``KINDS``, ``name`` a model, a package or a path.

    ``sha256`` (64 lower-case hexadecimal digits) is checked before a file is read, where it is given.
    """

    kind: str
    name: str
    sha256: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def parse(text: str, sha256: str | None = None) -> Source:
    """The source that ``timm:<name>``, ``torchvision:<name>``, ``package:<name>``, ``file:<path>``,
    ``python:<module>:<callable>`` or ``checkpoint:<path>`` (a model of another run) names.

    Raises UserError for anything else, and for a SHA-256 that is none or has nothing to check.
    """
    kind, colon, name = text.partition(":")
    if not colon or not name or kind not in KINDS:
        raise UserError(
            f"{text!r} names no weights; use train, timm:<name>, torchvision:<name>, file:<path>, "
            "python:<module>:<callable>, checkpoint:<path> or package:<name> with one of "
            f"{', '.join(PACKAGES)}"
        )
    if kind == "package" and name not in PACKAGES:
        raise UserError(f"no package is known for {name!r}; {nearest(name, PACKAGES)}")
    if sha256 is not None:
        if kind not in ("file", "package", "python", "checkpoint"):
            raise UserError(
                "sha256 is checked for file:, package:, python: and checkpoint: only, "
                f"{text!r} checks its own download"
            )
        if not _SHA256.fullmatch(sha256):
            raise UserError(f"sha256: {sha256!r} is not 64 lower-case hexadecimal digits")
    return Source(kind, name, sha256)
