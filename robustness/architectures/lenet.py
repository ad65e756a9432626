"""LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998, section II.B), with the parts that later copies leave out.

- C3 reads S2 through the paper's sparse connection table (table I): 60 of the 96 pairs of maps.
- S2 and S4 add four neighbours and have one trainable coefficient and one trainable bias a map.
- The squashing function is A tanh(S a), A = 1.7159, S = 2/3 (appendix A).
- The output layer is Euclidean radial basis functions: the squared distance of the 84 units of F6 to a fixed
  code of -1 and +1. The network gives the *negative* distances as logits. Their cross-entropy is the paper's
  discriminative criterion (equation 9) with its constant j sent to infinity.

The published count of 60,000 trainable parameters holds for 10 classes and grey 32x32 images
(``in_channels=1, image_size=32``). What changes elsewhere:

- RGB images: the six maps of C1 read three channels (456 parameters instead of 156).
- Larger images: C5 stays what it is in the paper, fully connected to S4, so its windows grow with S4 (5x5 at
  32 pixels, 13x13 at 64), and there is one column of 120 units, not a field of them.
- ``width`` multiplies the maps of C1, C3 and C5. Each map then takes the row of the table at its relative
  place.
- Codes: for ten classes 7x12 bitmaps of the digits, after the paper's figure 3 (the drawing is ours); for
  any other number random ones, which the paper names as the alternative. ``codes`` chooses.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustness import seeds
from robustness.architectures.blocks.widths import scaled
from robustness.architectures.registry import Stem, choice, register
from robustness.errors import UserError

CODE_LENGTH = 84

C3_INPUTS: tuple[tuple[int, ...], ...] = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip
"""Table I of the paper: the maps of S2 that each of the 16 maps of C3 reads."""

DIGIT_BITMAPS: tuple[str, ...] = (
    "....... ..###.. .#...#. ##...## ##...## ##...## ##...## ##...## .#...#. ..###.. ....... .......",
    "....... ...##.. ..###.. .####.. ...##.. ...##.. ...##.. ...##.. ...##.. .###### ....... .......",
    "....... .#####. ##...## .....## .....## ....##. ..###.. .##.... ##..... ####### ....... .......",
    "....... ####### .....## ....##. ...##.. ..####. .....## .....## ##...## .#####. ....... .......",
    "....... ....##. ...###. ..####. .##.##. ##..##. ####### ....##. ....##. ....##. ....... .......",
    "....... ####### ##..... ##..... ######. .....## .....## .....## ##...## .#####. ....... .......",
    "....... ..####. .##.... ##..... ##..... ######. ##...## ##...## ##...## .#####. ....... .......",
    "....... ####### .....## .....## ....##. ...##.. ...##.. ..##... ..##... ..##... ....... .......",
    "....... .#####. ##...## ##...## ##...## .#####. ##...## ##...## ##...## .#####. ....... .......",
    "....... .#####. ##...## ##...## ##...## .###### .....## .....## ....##. .####.. ....... .......",
)
"""The digits 0 to 9, twelve rows of seven, ``#`` for +1 and ``.`` for -1."""


def connection_table(inputs: int, outputs: int) -> Tensor:
    """Which map of S2 each map of C3 reads: bool (outputs, inputs). At (6, 16) it is the paper's table I."""
    table = torch.zeros(outputs, inputs, dtype=torch.bool, device="cpu")
    for out in range(outputs):
        row = C3_INPUTS[out * len(C3_INPUTS) // outputs]
        for source in range(inputs):
            table[out, source] = source * 6 // inputs in row
        if not table[out].any():
            # Fewer than six maps in S2 can miss every entry of a row; it then reads the nearest map.
            table[out, row[0] * inputs // 6] = True
    return table


def output_codes(num_classes: int, kind: str) -> Tensor:
    """The fixed centres of the output units: (num_classes, 84) of -1 and +1.

    ``bitmaps`` are :data:`DIGIT_BITMAPS`, for ten classes only; ``random`` are fair coin tosses, the same on
    every machine. Raises UserError where bitmaps are asked for another number of classes.
    """
    if kind == "bitmaps":
        if num_classes != len(DIGIT_BITMAPS):
            raise UserError(
                f"lenet5: option codes is 'bitmaps' with num_classes {num_classes}; bitmaps exist for 10 "
                "classes, use 'random' or 'published'"
            )
        rows = [[1.0 if mark == "#" else -1.0 for mark in art if mark != " "] for art in DIGIT_BITMAPS]
        return torch.tensor(rows)
    draws = seeds.numpy_generator(1998, "lenet5", "codes").integers(0, 2, size=(num_classes, CODE_LENGTH))
    return torch.tensor((2.0 * draws - 1.0).tolist())


class Squash(nn.Module):
    """1.7159 tanh(2a/3): f(1) = 1 and f(-1) = -1, with the greatest curvature there."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


class TableConvolution(nn.Module):
    """A 5x5 convolution whose output maps read only the input maps that a table names.

    Only the weights of connections that exist are parameters: ``weight`` is (connections, 5, 5), in the row
    order of ``table``, a bool tensor (outputs, inputs).
    """

    def __init__(self, table: Tensor, kernel_size: int = 5) -> None:
        super().__init__()
        self.outputs, self.inputs = table.shape
        out, source = table.nonzero(as_tuple=True)
        self.register_buffer("places", torch.tensor((out * self.inputs + source).tolist()), persistent=False)
        self.fan_in = [int(row.sum()) * kernel_size**2 for row in table]
        self.rows = out.tolist()
        self.weight = nn.Parameter(torch.empty(len(self.rows), kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(self.outputs))

    def dense_weight(self) -> Tensor:
        """The weight of the equal dense convolution, (outputs, inputs, 5, 5), 0 where nothing connects."""
        side = self.weight.shape[-1]
        dense = self.weight.new_zeros(self.outputs * self.inputs, side, side)
        return dense.index_copy(0, self.places, self.weight).view(self.outputs, self.inputs, side, side)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.dense_weight(), self.bias)


class Subsampling(nn.Module):
    """The sum of each 2x2 square, times a trainable coefficient of its map, plus a trainable bias."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.empty(maps))
        self.bias = nn.Parameter(torch.empty(maps))

    def forward(self, x: Tensor) -> Tensor:
        total = 4 * F.avg_pool2d(x, 2)
        return total * self.coefficient.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


class RadialOutput(nn.Module):
    """Minus the squared Euclidean distance of (N, 84) to each class's fixed code: (N, classes)."""

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes)

    def forward(self, x: Tensor) -> Tensor:
        return -(x[:, None, :] - self.codes).square().sum(dim=2)


class LeNet5(nn.Module):
    """C1 S2 C3 S4 C5 F6 and the radial output. Images (N, C, S, S) to logits (N, classes)."""

    def __init__(
        self, *, num_classes: int, in_channels: int, image_size: int, width: float, codes: str
    ) -> None:
        super().__init__()
        c1, c3, c5 = scaled(6, width), scaled(16, width), scaled(120, width)
        field = ((image_size - 4) // 2 - 4) // 2
        if codes == "published":
            codes = "bitmaps" if num_classes == len(DIGIT_BITMAPS) else "random"
        self.c1 = nn.Conv2d(in_channels, c1, 5)
        self.c1_squash = Squash()
        self.s2 = Subsampling(c1)
        self.s2_squash = Squash()
        self.c3 = TableConvolution(connection_table(c1, c3))
        self.c3_squash = Squash()
        self.s4 = Subsampling(c3)
        self.s4_squash = Squash()
        self.c5 = nn.Conv2d(c3, c5, field)
        self.c5_squash = Squash()
        self.flatten = nn.Flatten()
        self.f6 = nn.Linear(c5, CODE_LENGTH)
        self.f6_squash = Squash()
        self.output = RadialOutput(output_codes(num_classes, codes))
        self._initialise()

    def _initialise(self) -> None:
        """Uniform in +-2.4 / fan-in for each unit (appendix A); a subsampling unit has four inputs."""

        def draw(values: Tensor, fan_in: float) -> None:
            nn.init.uniform_(values, -2.4 / fan_in, 2.4 / fan_in)

        for layer in (self.c1, self.c5, self.f6):
            fan_in = math.prod(layer.weight.shape[1:])
            draw(layer.weight, fan_in)
            draw(layer.bias, fan_in)
        for layer in (self.s2, self.s4):
            draw(layer.coefficient, 4)
            draw(layer.bias, 4)
        with torch.no_grad():
            for position, row in enumerate(self.c3.rows):
                draw(self.c3.weight[position], self.c3.fan_in[row])
            for out, fan_in in enumerate(self.c3.fan_in):
                draw(self.c3.bias[out : out + 1], fan_in)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes), never positive: minus the squared distance to each code."""
        x = self.s2_squash(self.s2(self.c1_squash(self.c1(x))))
        x = self.s4_squash(self.s4(self.c3_squash(self.c3(x))))
        x = self.flatten(self.c5_squash(self.c5(x)))
        return self.output(self.f6_squash(self.f6(x)))


register(
    "lenet5",
    family="LeNet-5",
    year=1998,
    paper="LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition, "
    "Proceedings of the IEEE 86(11), 1998",
    parameters=60_000,
    input_size=32,
    smallest=16,
    stem=Stem(("c1", "c1_squash"), stride=1, channels=6),
    stages={
        "stem": "c1_squash",
        "early": "s2_squash",
        "middle": "c3_squash",
        "late": "c5_squash",
        "penultimate": "f6_squash",
    },
    options={
        "codes": choice(
            "published",
            ("published", "bitmaps", "random"),
            "centres of the output units; published is bitmaps for ten classes and random otherwise",
        )
    },
    classes=10,
    channels=1,
)(LeNet5)
