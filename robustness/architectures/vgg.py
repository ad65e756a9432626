"""VGG (Simonyan and Zisserman 2014): the six columns of the paper's table 1.

All convolutions are 3x3, but for the 1x1 ones of column C; column A-LRN is A with local response
normalisation after the first convolution. Module names are torchvision's, so its weights fit columns A, B, D
and E. At another image size only the first fully connected layer changes its number of inputs (7x7 maps at
224 pixels, 2x2 at 64). ``width`` scales the maps and the fully connected layers.

The paper first trained A from small Gaussian weights and started the deeper columns from it; its final
version notes that Glorot's initialisation makes that needless, and so it is the default here.
"""

from __future__ import annotations

import functools

from torch import Tensor, nn

from robustness.architectures.blocks import pre_batch_norm
from robustness.architectures.blocks.pre_batch_norm import convolution, initialise
from robustness.architectures.blocks.response_normalisation import LocalResponseNorm
from robustness.architectures.blocks.widths import scaled
from robustness.architectures.registry import Stem, register

# Table 1 of the paper. Numbers are the channels of 3x3 convolutions, "1x1:256" a 1x1 one; M is a pooling.
COLUMNS: dict[str, str] = {
    "A": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "A-LRN": "64 LRN M 128 M 256 256 M 512 512 M 512 512 M",
    "B": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "C": "64 64 M 128 128 M 256 256 1x1:256 M 512 512 1x1:512 M 512 512 1x1:512 M",
    "D": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "E": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


class VGG(nn.Module):
    """One column of table 1. Images (N, C, S, S) to logits (N, classes)."""

    def __init__(
        self,
        *,
        column: str,
        num_classes: int,
        in_channels: int,
        image_size: int,
        width: float,
        dropout: float,
        initialisation: str,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for entry in COLUMNS[column].split():
            if entry == "M":
                layers.append(nn.MaxPool2d(2, 2))
            elif entry == "LRN":
                layers.append(LocalResponseNorm())
            else:
                kernel = 1 if entry.startswith("1x1:") else 3
                wide = scaled(int(entry.rpartition(":")[2]), width, 8)
                layers.append(convolution(channels, wide, kernel, padding=kernel // 2, batch_norm=batch_norm))
                layers.append(nn.ReLU())
                channels = wide
        self.features = nn.Sequential(*layers)
        self.flatten = nn.Flatten()
        hidden = scaled(4096, width, 8)
        self.classifier = nn.Sequential(
            nn.Linear(channels * (image_size // 32) ** 2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )
        initialise(self, initialisation)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images."""
        return self.classifier(self.flatten(self.features(x)))


def _stages(column: str) -> dict[str, str]:
    """The ReLU before the 2nd, 4th and 5th pooling, by its place in ``features``."""
    places: list[int] = []
    index = 0
    for entry in COLUMNS[column].split():
        if entry == "M":
            places.append(index - 1)
        index += 1 if entry in ("M", "LRN") else 2
    return {
        "stem": "features.1",
        "early": f"features.{places[1]}",
        "middle": f"features.{places[3]}",
        "late": f"features.{places[4]}",
        "penultimate": "classifier.4",
    }


def _register(name: str, column: str, parameters: int, pretrained: str | None = None) -> None:
    register(
        name,
        family="VGG",
        year=2014,
        paper="Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, "
        "ICLR 2015 (arXiv 1409.1556)",
        parameters=parameters,
        input_size=224,
        smallest=32,
        stem=Stem(("features.0", "features.1"), stride=1, channels=64),
        stages=_stages(column),
        options=pre_batch_norm.options(dropout=0.5, initialisation="glorot"),
        pretrained=pretrained,
    )(functools.partial(VGG, column=column))


_register("vgg16", "D", 138_357_544, "torchvision/vgg16")
_register("vgg11", "A", 132_863_336, "torchvision/vgg11")
_register("vgg11_lrn", "A-LRN", 132_863_336)
_register("vgg13", "B", 133_047_848, "torchvision/vgg13")
_register("vgg16_c", "C", 133_638_952)
_register("vgg19", "E", 143_667_240, "torchvision/vgg19")
