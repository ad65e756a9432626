"""The cells of the Neocognitron (Fukushima 1980) as layers on (N, planes, H, W) tensors.

All responses are at least 0 and piecewise differentiable in the input. The layers compute in float32 also
under autocast: an S-cell's response is a small difference of large sums.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _no_autocast(x: Tensor) -> AbstractContextManager:
    if x.device.type == "meta":  # which knows no autocast
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)


def distances(side: int) -> Tensor:
    """Distance of each place of a ``side`` x ``side`` area to its centre, in cells: (side, side)."""
    places = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
    return torch.sqrt(places[:, None] ** 2 + places[None, :] ** 2)


class Contrast(nn.Module):
    """UG of the later Neocognitrons: on- and off-centre cells. (N, C, H, W) to (N, 2, H, W).

    The channels are averaged to grey; a narrow Gaussian minus a wide one (0 on any even area) answers to
    local contrast. Plane 0 is its positive part (bright on dark), plane 1 its negative part. Standard
    deviations are ``scale`` and 2 ``scale`` pixels.
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        side = 2 * math.ceil(3 * scale) + 1
        squared = distances(side) ** 2
        narrow, wide = (torch.exp(-squared / (2 * sigma**2)) for sigma in (scale, 2 * scale))
        self.register_buffer("kernel", (narrow / narrow.sum() - wide / wide.sum())[None, None])
        self.rectify = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        with _no_autocast(x):
            grey = x.float().mean(dim=1, keepdim=True)
            border = self.kernel.shape[-1] // 2
            # The edge repeats, so that the frame of the image is no contrast.
            filtered = F.conv2d(F.pad(grey, (border,) * 4, mode="replicate"), self.kernel)
            return self.rectify(torch.cat([filtered, -filtered], dim=1))


class Photoreceptors(nn.Module):
    """U0 of the first Neocognitron: the grey image, where it is above 0. (N, C, H, W) to (N, 1, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.rectify = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.rectify(x.float().mean(dim=1, keepdim=True))


class SLayer(nn.Module):
    """S-cells: feature extractors with modifiable excitatory and inhibitory weights.

    u = r relu[(1 + sum a u_C) / (1 + 2r/(1+r) b v) - 1], where v is the root of the c-weighted mean square of
    the inputs. ``excitation`` is a, (planes, inputs, 5, 5); ``inhibition`` is b, (planes,). Cells of one
    plane share them. Neither is trained by gradient: ``neocognitron_learning`` reinforces them, with
    ``learning_selectivity`` as r (None: the same).
    """

    def __init__(
        self,
        inputs: int,
        planes: int,
        *,
        selectivity: float,
        learning_selectivity: float | None = None,
        rate: float,
        padding: int,
        side: int = 5,
    ) -> None:
        super().__init__()
        self.inputs, self.planes, self.side, self.padding = inputs, planes, side, padding
        self.selectivity, self.rate = selectivity, rate
        self.learning_selectivity = learning_selectivity or selectivity
        nearness = 0.9 ** distances(side)
        # c: falls with the distance, sums to 1 over the area and the planes that it reads.
        self.register_buffer("nearness", nearness / (nearness.sum() * inputs))
        self.excitation = nn.Parameter(torch.zeros(planes, inputs, side, side), requires_grad=False)
        self.inhibition = nn.Parameter(torch.zeros(planes), requires_grad=False)
        self.rectify = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Responses (N, planes, H, W) to the C-cells (or the contrast cells) before, (N, inputs, H', W')."""
        with _no_autocast(x):
            x = x.float()
            excited = F.conv2d(x, self.excitation, padding=self.padding)
            return self.respond(excited, self.inhibiting(x), self.selectivity)

    def inhibiting(self, x: Tensor) -> Tensor:
        """The inhibitory cells v, (N, 1, H, W): the weighted root mean square of what the S-cells read."""
        energy = F.conv2d(
            x.square().sum(dim=1, keepdim=True), self.nearness[None, None], padding=self.padding
        )
        # The tiny constant keeps the gradient of the root finite where the input is all zero.
        return torch.sqrt(energy + 1e-12)

    def respond(self, excited: Tensor, v: Tensor, r: float) -> Tensor:
        """The response from the excitatory sum and v, planes on dimension 1, at a selectivity."""
        b = self.inhibition.view(-1, *[1] * (excited.ndim - 2))
        inhibited = 2 * r / (1 + r) * b * v
        # (1 + e) / (1 + i) - 1, without the loss of digits where e and i are small.
        return r * self.rectify((excited - inhibited) / (1 + inhibited))


class CLayer(nn.Module):
    """C-cells: they answer wherever in their area an S-cell of their plane answers.

    u = psi[(1 + sum d u_S) / (1 + mean over planes of sum d u_S) - 1], psi(x) = relu(x) / (alpha + relu(x)).
    d is ``gain`` times 0.9 to the distance. The area has ``side`` x ``side`` S-cells, and C-cells stand
    ``stride`` S-cells apart. ``margin`` S-cells at every border feed no area (negative: the map is padded).
    S-cells do not answer below 0; of a front-end that does, the positive part counts.
    """

    def __init__(self, *, side: int, stride: int = 1, margin: int = 0, gain: float = 1.0) -> None:
        super().__init__()
        self.stride, self.margin = stride, margin
        # Distances in published cells. A contour crosses ``stride`` times as many cells of a finer map.
        weights = gain * 0.9 ** (distances(side) / stride) / stride
        self.register_buffer("weights", weights[None, None])
        self.receive = nn.ReLU()
        self.rectify = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        with _no_autocast(x):
            planes = x.shape[1]
            x = F.pad(self.receive(x.float()), (-self.margin,) * 4)
            weights = self.weights.expand(planes, -1, -1, -1)
            pooled = F.conv2d(x, weights, stride=self.stride, groups=planes)
            lateral = pooled.mean(dim=1, keepdim=True)
            x = self.rectify((pooled - lateral) / (1 + lateral))
            return x / (0.5 + x)


class Standardise(nn.Module):
    """(N, planes, 1, 1) to (N, planes), each of mean 0 and deviation 1 over the images it organised on.

    An affine change of the read-out's inputs, so that one learning rate suits any number of planes.
    """

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(planes))
        self.register_buffer("deviation", torch.ones(planes))

    def fit(self, features: Tensor) -> None:
        """Take mean and deviation from (images, planes). A plane that never answers keeps deviation 1."""
        self.mean.copy_(features.mean(dim=0))
        deviation = features.std(dim=0, correction=0)
        self.deviation.copy_(torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) - self.mean) / self.deviation
