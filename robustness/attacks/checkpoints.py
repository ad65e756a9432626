"""Checkpoints of an evaluation: its finished (attack, ε), so that it goes on there after an interruption."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from torch import Tensor, nn

from robustness.whole_files import write_arrays

if TYPE_CHECKING:
    from robustness.attacks.registry import Planned
    from robustness.attacks.suites import Rung


class FolderCheckpoints:
    """Arrays by key in a folder, one npz file per key, written under a temporary name and renamed."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def _path(self, key: str) -> Path:
        return self.folder / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}.npz"

    def get(self, key: str) -> dict[str, np.ndarray] | None:
        """The arrays of a key; None where there are none, or their file is damaged: they are made again."""
        try:
            with np.load(self._path(key), allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (FileNotFoundError, BadZipFile, ValueError, EOFError):
            return None

    def __setitem__(self, key: str, arrays: dict[str, np.ndarray]) -> None:
        write_arrays(arrays, self._path(key))


def unit_key(item: Planned, number: int, rung: Rung, epsilon: float | None, identity: str) -> str:
    """The key of one attack of a rung at one ε in an evaluation with that identity."""
    limit = "minimal" if epsilon is None else repr(float(epsilon))
    how = [number, rung.eot_samples, *sorted(item.settings.items())]
    return "|".join([item.name, item.norm, repr(how), limit, identity])


def fingerprint(
    model: nn.Module | Callable[..., Any],
    images: Tensor,
    labels: Tensor,
    ids: np.ndarray,
    settings: dict[str, Any],
) -> str:
    """What decides the results besides attack and ε: weights, images, labels, ids, settings. 32 hex
    digits."""
    digest = hashlib.blake2b(repr(sorted(settings.items())).encode(), digest_size=16)
    if isinstance(model, nn.Module):
        digest.update(repr(model).encode())
        for name, value in sorted(model.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    for array in (images.detach().cpu().contiguous().numpy(), labels.detach().cpu().numpy(), np.asarray(ids)):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
