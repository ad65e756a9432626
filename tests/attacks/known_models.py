"""Models whose robustness is known by hand, for the attack tests."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """Logits (2, 2 + m, −50, −51 …) with m = w·(x − ½) + b: two classes, and others that are never reached.

    The distance to the boundary is |m| / ‖w‖ in the dual norm.
    """

    def __init__(self, weight: Tensor, bias: float = 0.0, classes: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias, self.classes = bias, classes

    def margin(self, x: Tensor) -> Tensor:
        return ((x - 0.5) * self.weight).flatten(1).sum(1) + self.bias

    def forward(self, x: Tensor) -> Tensor:
        m = self.margin(x)
        idle = -50.0 - torch.arange(self.classes - 2.0).expand(len(x), -1)
        return torch.cat([torch.full_like(m, 2)[:, None], 2 + m[:, None], idle], 1)


def linear_case(margin: float = 1.0, count: int = 6, classes: int = 2) -> tuple[Linear, Tensor, Tensor]:
    """A linear model and images, far from 0 and 1, that all lie at the same ``margin`` on side 1."""
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(1, 3, 6, 6, generator=generator)
    images = 0.5 + 0.1 * (torch.rand(count, 3, 6, 6, generator=generator) - 0.5)
    model = Linear(weight, classes=classes)
    with torch.no_grad():
        gap = (margin - model.margin(images)).view(-1, 1, 1, 1)
        images = images + gap * weight / weight.square().sum()
    return model, images, torch.ones(count, dtype=torch.long)


class Curved(nn.Module):
    """A small smooth network of random weights, in double precision at heart, so that no rounding turns a
    sign: images of ``values`` values to logits of five classes."""

    def __init__(self, values: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.first = torch.randn(values, 12, generator=generator, dtype=torch.float64)
        self.second = torch.randn(12, 5, generator=generator, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(6 * (x.flatten(1).double() - 0.5) @ self.first) @ self.second


class Counting(nn.Module):
    """Passes images on to a model; counts its calls and their sizes, and can break off at a call."""

    def __init__(self, model: nn.Module, fail_at: int | None = None) -> None:
        super().__init__()
        self.model, self.fail_at = model, fail_at
        self.sizes: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        if self.fail_at is not None and len(self.sizes) >= self.fail_at:
            raise KeyboardInterrupt
        return self.model(x)


class Saturated(nn.Module):
    """Gradients destroyed: a sigmoid of so large a gain that its slope is 0 in float32."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(0.425 + 0.15 * torch.sigmoid(1e5 * (x - 0.5)))


class RoundedInput(nn.Module):
    """Gradients destroyed: pixels are rounded to multiples of 1/64."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model((64 * x).round() / 64)


class DetachedStem(nn.Module):
    """Gradients destroyed: the graph ends before the first layer."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x.detach())
