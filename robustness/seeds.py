"""Seeds for every draw: a generator belongs to (seed, purpose, ids), never to the order of the work."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(seed: int, *ids: str | int | float) -> int:
    """A 63-bit seed from a base seed and any number of ids (text or numbers), equal on every machine."""
    digest = hashlib.blake2b(repr((int(seed), *(str(part) for part in ids))).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def numpy_generator(seed: int, *ids: str | int | float) -> np.random.Generator:
    """A NumPy generator (PCG64) for one purpose, seeded by :func:`derive`."""
    return np.random.default_rng(derive(seed, *ids))


def torch_generator(seed: int, *ids: str | int | float) -> torch.Generator:
    """A torch CPU generator for one purpose, seeded by :func:`derive`."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *ids))
