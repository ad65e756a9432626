"""ZFNet (Zeiler and Fergus 2013): AlexNet with finer windows and strides at the bottom.

The first layer is 7x7 at stride 2 and the second 5x5 at stride 2: the paper's answer to what it saw in
AlexNet's, dead filters and aliasing. There are no groups. Local contrast normalisation across maps
follows the first two poolings, with AlexNet's constants. At another image size only the first fully connected
layer changes its number of inputs. ``width`` scales the maps and the fully connected layers.
"""

from __future__ import annotations

from torch import Tensor, nn

from robustness.architectures.blocks import pre_batch_norm
from robustness.architectures.blocks.pre_batch_norm import convolution, initialise
from robustness.architectures.blocks.response_normalisation import LocalResponseNorm
from robustness.architectures.blocks.widths import scaled
from robustness.architectures.registry import SMALL_STEM, Stem, register


def _map_size(image_size: int, small_stem: bool) -> int:
    """Height of the map that the first fully connected layer reads: 6 at 224 pixels, 1 at 64."""
    size = image_size if small_stem else (image_size + 2 - 7) // 2 + 1
    size = -((3 - size) // 2) + 1
    size = (size - 5) // 2 + 1
    size = -((3 - size) // 2) + 1
    return (size - 3) // 2 + 1


class ZFNet(nn.Module):
    """Five convolutions, three fully connected layers. Images (N, C, S, S) to logits (N, classes)."""

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        image_size: int,
        width: float,
        dropout: float,
        initialisation: str,
        batch_norm: bool,
        small_stem: bool,
    ) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = (scaled(channels, width, 8) for channels in (96, 256, 384, 384, 256))
        hidden = scaled(4096, width, 8)
        size = _map_size(image_size, small_stem)
        kernel, stride = (3, 1) if small_stem else (7, 2)
        self.conv1 = convolution(in_channels, c1, kernel, stride=stride, padding=1, batch_norm=batch_norm)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.norm1 = LocalResponseNorm()
        self.conv2 = convolution(c1, c2, 5, stride=2, batch_norm=batch_norm)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.norm2 = LocalResponseNorm()
        self.conv3 = convolution(c2, c3, 3, padding=1, batch_norm=batch_norm)
        self.relu3 = nn.ReLU()
        self.conv4 = convolution(c3, c4, 3, padding=1, batch_norm=batch_norm)
        self.relu4 = nn.ReLU()
        self.conv5 = convolution(c4, c5, 3, padding=1, batch_norm=batch_norm)
        self.relu5 = nn.ReLU()
        self.pool5 = nn.MaxPool2d(3, 2)
        self.flatten = nn.Flatten()
        self.fc6 = nn.Linear(c5 * size * size, hidden)
        self.relu6 = nn.ReLU()
        self.drop6 = nn.Dropout(dropout)
        self.fc7 = nn.Linear(hidden, hidden)
        self.relu7 = nn.ReLU()
        self.drop7 = nn.Dropout(dropout)
        self.fc8 = nn.Linear(hidden, num_classes)
        initialise(self, initialisation)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images."""
        x = self.norm1(self.pool1(self.relu1(self.conv1(x))))
        x = self.norm2(self.pool2(self.relu2(self.conv2(x))))
        x = self.relu3(self.conv3(x))
        x = self.relu4(self.conv4(x))
        x = self.pool5(self.relu5(self.conv5(x)))
        x = self.drop6(self.relu6(self.fc6(self.flatten(x))))
        x = self.drop7(self.relu7(self.fc7(x)))
        return self.fc8(x)


register(
    "zfnet",
    family="ZFNet",
    year=2013,
    paper="Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014 (arXiv 1311.2901)",
    parameters=62_357_608,
    input_size=224,
    smallest=63,
    stem=Stem(("conv1", "relu1"), stride=2, channels=96),
    stages={
        "stem": "relu1",
        "early": "relu2",
        "middle": "relu4",
        "late": "relu5",
        "penultimate": "relu7",
    },
    options={
        **pre_batch_norm.options(dropout=0.5, initialisation="gaussian"),
        "small_stem": SMALL_STEM,
    },
)(ZFNet)
