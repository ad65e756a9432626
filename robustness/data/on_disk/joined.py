"""Several arrays, each mapped from a file of its own, read row by row as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


class Joined:
    """Row i of ``arrays`` laid end to end, each row shown as ``image`` makes it.

    ``ndim`` is that of the whole: the dimensions of an image and one more. Raises IndexError past the end.
    """

    def __init__(
        self, arrays: Sequence[np.ndarray], ndim: int, image: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        self.arrays, self.ndim, self.image = arrays, ndim, image

    def __getitem__(self, row: int) -> np.ndarray:
        for array in self.arrays:
            if row < len(array):
                return self.image(array[row])
            row -= len(array)
        raise IndexError(row)
