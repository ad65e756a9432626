"""Read a file of weights without executing code in it: safetensors, or a PyTorch state dict."""

from __future__ import annotations

import hashlib
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from robustness.errors import UserError

_WRAPPERS = ("state_dict", "model", "model_state_dict")


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_file(path: Path, sha256: str | None = None) -> None:
    """Raises UserError if there is no such file, or it differs from the SHA-256 where that is given."""
    if not path.is_file():
        raise UserError(f"weights file:{path}: no such file")
    if sha256 is not None and (found := digest(path)) != sha256:
        raise UserError(f"weights file:{path}: SHA-256 is {found}, not {sha256}; bring the right file")


def read_state(path: Path, sha256: str | None = None) -> dict[str, Tensor]:
    """Name → tensor. ``sha256`` is compared before anything is read, where it is given.

    A PyTorch file is read with ``weights_only=True``: anything but tensors and plain containers is refused. A
    state dict may lie under one of the usual keys, and its names may all begin with ``module.`` (from
    DataParallel). Raises UserError if the file is missing, differs from its SHA-256, or holds no state dict.
    """
    check_file(path, sha256)
    state = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
    for key in _WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(
            f"weights file:{path}: holds no state dict (names to tensors); save state_dict() alone"
        )
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    return dict(state)


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(str(path))
    except (SafetensorError, OSError) as error:
        raise UserError(f"weights file:{path}: not a readable safetensors file ({error})") from error


def _torch(path: Path) -> object:
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except UnpicklingError as error:
        raise UserError(
            f"weights file:{path}: refused, since it holds more than tensors and plain containers or is "
            "damaged; save state_dict() alone, or as safetensors"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        raise UserError(f"weights file:{path}: not a readable PyTorch file ({error})") from error
