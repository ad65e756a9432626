"""Centred kernel alignment: how alike two representations of the same images are, whatever their width.

S. Kornblith et al., Similarity of Neural Network Representations Revisited, ICML 2019, with a linear kernel.
The published estimate rises to 1 for unrelated features that are wider than there are images; the unbiased
one of the Hilbert–Schmidt independence criterion (L. Song et al., JMLR 2012; T. Nguyen, M. Raghu,
S. Kornblith, ICLR 2021) does not.
"""

from __future__ import annotations

import numpy as np


def gram(features: np.ndarray) -> np.ndarray:
    """Inner products (N, N) float64 of the features (N, …) of N images, around their mean."""
    flat = np.asarray(features, dtype=np.float64).reshape(len(features), -1)
    flat = flat - flat.mean(0)
    return flat @ flat.T


def independence(k: np.ndarray, l: np.ndarray, *, debiased: bool = True) -> float:  # noqa: E741 - as published
    """The Hilbert–Schmidt independence criterion of two Gram matrices (N, N), N at least 4."""
    n = len(k)
    if not debiased:
        centre = np.eye(n) - 1 / n
        return float((centre @ k @ centre * l).sum() / (n - 1) ** 2)
    k, l = (np.where(np.eye(n, dtype=bool), 0, each) for each in (k, l))  # noqa: E741
    total = (k * l).sum() + k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k.sum(0) @ l.sum(0))
    return float(total / (n * (n - 3)))


def alignment(k: np.ndarray, l: np.ndarray, *, debiased: bool = True) -> float:  # noqa: E741
    """Linear CKA of two Gram matrices (N, N) of the same images in the same order.

    1: equal up to a rotation and a scale; debiased, about 0 for unrelated features, and a little below at
    times. NaN where one of them does not tell the images apart. Raises ValueError for fewer than 4 images.
    """
    if len(k) < 4 or k.shape != l.shape:
        raise ValueError(f"Gram matrices {k.shape} and {l.shape}: the same 4 images or more are needed")
    own = independence(k, k, debiased=debiased) * independence(l, l, debiased=debiased)
    scale = np.trace(k) * np.trace(l)
    if own <= 1e-12 * scale**2 / len(k) ** 4:
        return np.nan
    return independence(k, l, debiased=debiased) / np.sqrt(own)
