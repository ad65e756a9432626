"""Linear CKA where its value is known, and where the biased estimate fails."""

from __future__ import annotations

import numpy as np
import pytest

from robustness.statistics.cka import alignment, gram, independence


def features(seed: int, count: int = 40, width: int = 300) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, width))


def test_one_for_itself_turned_and_scaled() -> None:
    x = features(0, width=30)
    turn = np.linalg.qr(features(1, 30, 30))[0]
    for other in (x, -3 * x @ turn, x + 7):
        for debiased in (True, False):
            assert alignment(gram(x), gram(other), debiased=debiased) == pytest.approx(1)


def test_unrelated_wide_features_are_alike_in_the_biased_estimate_alone() -> None:
    pairs = [(gram(features(2 * i)), gram(features(2 * i + 1, width=500))) for i in range(20)]
    assert np.mean([alignment(*pair, debiased=False) for pair in pairs]) == pytest.approx(0.90, abs=0.01)
    debiased = [alignment(*pair) for pair in pairs]
    assert abs(np.mean(debiased)) < 0.01
    assert min(debiased) < 0


def test_the_feature_form_of_the_estimate() -> None:
    n, x, y = 40, features(3, width=20), features(4, width=9)
    y[:, :5] += x[:, :5]
    x, y = x - x.mean(0), y - y.mean(0)
    a, b = (x**2).sum(1), (y**2).sum(1)
    wanted = ((x.T @ y) ** 2).sum() - n / (n - 2) * (a @ b) + a.sum() * b.sum() / ((n - 1) * (n - 2))
    assert independence(gram(x), gram(y)) * n * (n - 3) == pytest.approx(wanted)


def test_half_shared_lies_between() -> None:
    x, y, z = features(5, 400, 10), features(6, 400, 10), features(7, 400, 10)
    found = alignment(gram(np.hstack([x, y])), gram(np.hstack([x, z])))
    assert found == pytest.approx(0.5, abs=0.05)


def test_what_does_not_tell_images_apart_has_none() -> None:
    assert np.isnan(alignment(gram(np.ones((8, 3))), gram(features(8, 8))))
    with pytest.raises(ValueError, match="4 images"):
        alignment(np.eye(3), np.eye(3))
