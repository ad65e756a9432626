"""What the attack tests share: one thread (the networks are tiny), and one trained digits network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from digits_net import trained
from torch import Tensor, nn


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads on a network this small cost several times what they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def digits() -> tuple[nn.Module, Tensor, Tensor]:
    """An undefended network (about nine tenths right), 497 images and their labels."""
    return trained(width=4)


@pytest.fixture
def noisy_digits() -> tuple[nn.Module, Tensor, Tensor]:
    """The same with Gaussian noise after its first layer."""
    return trained(width=4, noise=0.3)
