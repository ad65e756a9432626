"""Path similarity where the answer is known: pictures that are natural images of this class, or another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustness.probes.path_similarity import Correlations, path_correlations


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.second = nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU())
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)).mean((2, 3))


PATHS = {"early": "first", "late": "second"}
CLASSES = torch.arange(30) % 3


def of_class(number: Tensor, seed: int) -> Tensor:
    """A pattern of the class, and noise of the image."""
    drawn = torch.Generator().manual_seed(50)
    patterns = torch.rand(3, 3, 16, 16, generator=drawn)
    noise = torch.rand(len(number), 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    return 0.6 * patterns[number] + 0.4 * noise


def correlations(pictures: Tensor, classes: Tensor) -> dict[str, Correlations]:
    images = of_class(CLASSES, seed=1)
    return path_correlations(Layers(), PATHS, pictures, classes.numpy(), images, CLASSES.numpy())


def test_natural_images_are_one_and_those_of_others_zero() -> None:
    every = np.ones(30, dtype=bool)
    for found in correlations(of_class(CLASSES, seed=2), CLASSES).values():
        assert (found.same > found.other + 0.05).all()
        assert found.similarity(every) == pytest.approx(1, abs=0.1)
    for found in correlations(of_class((CLASSES + 1) % 3, seed=2), CLASSES).values():
        assert found.similarity(every) == pytest.approx(0, abs=0.1)


def test_a_picture_that_leaves_nothing_alike_is_below_both() -> None:
    """The negative of its class, where activations are a linear function of the image."""
    model_input = 1 - of_class(CLASSES, seed=2)
    assert correlations(model_input, CLASSES)["early"].similarity(np.ones(30, dtype=bool)) < -0.5


def test_spearman_is_scipys() -> None:
    from scipy.stats import spearmanr

    images = of_class(CLASSES, seed=1)
    with torch.no_grad():
        late = Layers().second(Layers().first(images)).flatten(1).numpy()
    own = np.flatnonzero(CLASSES.numpy() == 2)
    expected = np.mean([spearmanr(late[0], late[place]).statistic for place in own])
    found = correlations(images[:1], torch.tensor([2]))["late"]
    assert found.picture[0] == pytest.approx(expected, abs=1e-5)


def test_without_enough_images_there_is_no_number() -> None:
    images, labels = of_class(CLASSES, seed=1), np.zeros(30, dtype=int)
    alone = path_correlations(Layers(), PATHS, images[:2], np.array([0, 1]), images, labels)["late"]
    assert np.isnan(alone.picture).all()  # of class 0 are all, of class 1 is none
    assert np.isnan(alone.similarity(np.array([True, True])))
    near = Correlations(*(np.array([value]) for value in (0.4, 0.5, 0.47, 0.02)))
    assert np.isnan(near.similarity(np.array([True])))  # 0.03 apart, with an error of 0.02
    far = near._replace(other=np.array([0.3]))
    assert far.similarity(np.array([True])) == pytest.approx(0.5)
