"""AlexNet (Krizhevsky, Sutskever, Hinton 2012), the published two-tower network.

Convolutions 2, 4 and 5 see only the maps of their own tower (two groups); local response normalisation
follows the first two ReLUs; pooling overlaps (3x3, stride 2). torchvision's ``alexnet`` is a later variant
with one tower and without the normalisation.

The paper's 224 pixels with an 11x11 window at stride 4 do not give its 55x55 maps; a padding of 2 does, as
is usual. At another image size only the first fully connected layer changes its number of inputs. ``width``
scales the maps and the fully connected layers.
"""

from __future__ import annotations

from torch import Tensor, nn

from robustness.architectures.blocks import pre_batch_norm
from robustness.architectures.blocks.pre_batch_norm import convolution, initialise
from robustness.architectures.blocks.response_normalisation import LocalResponseNorm
from robustness.architectures.blocks.widths import scaled
from robustness.architectures.registry import SMALL_STEM, Stem, register


def pooled(size: int) -> int:
    """Height of a map after an overlapping pooling (3x3, stride 2)."""
    return (size - 3) // 2 + 1


class AlexNet(nn.Module):
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
        first = image_size if small_stem else (image_size + 2 * 2 - 11) // 4 + 1
        size = pooled(pooled(pooled(first)))
        kernel, stride, padding = (3, 1, 1) if small_stem else (11, 4, 2)
        self.conv1 = convolution(
            in_channels, c1, kernel, stride=stride, padding=padding, batch_norm=batch_norm
        )
        self.relu1 = nn.ReLU()
        self.norm1 = LocalResponseNorm()
        self.pool1 = nn.MaxPool2d(3, 2)
        self.conv2 = convolution(c1, c2, 5, padding=2, groups=2, batch_norm=batch_norm)
        self.relu2 = nn.ReLU()
        self.norm2 = LocalResponseNorm()
        self.pool2 = nn.MaxPool2d(3, 2)
        self.conv3 = convolution(c2, c3, 3, padding=1, batch_norm=batch_norm)
        self.relu3 = nn.ReLU()
        self.conv4 = convolution(c3, c4, 3, padding=1, groups=2, batch_norm=batch_norm)
        self.relu4 = nn.ReLU()
        self.conv5 = convolution(c4, c5, 3, padding=1, groups=2, batch_norm=batch_norm)
        self.relu5 = nn.ReLU()
        self.pool5 = nn.MaxPool2d(3, 2)
        self.flatten = nn.Flatten()
        self.drop6 = nn.Dropout(dropout)
        self.fc6 = nn.Linear(c5 * size * size, hidden)
        self.relu6 = nn.ReLU()
        self.drop7 = nn.Dropout(dropout)
        self.fc7 = nn.Linear(hidden, hidden)
        self.relu7 = nn.ReLU()
        self.fc8 = nn.Linear(hidden, num_classes)
        initialise(self, initialisation)
        if initialisation == "gaussian":
            # Section 5: ones, so that these ReLUs start with positive inputs.
            for layer in (self.conv2, self.conv4, self.conv5, self.fc6, self.fc7):
                if isinstance(layer, (nn.Conv2d, nn.Linear)):
                    nn.init.ones_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images."""
        x = self.pool1(self.norm1(self.relu1(self.conv1(x))))
        x = self.pool2(self.norm2(self.relu2(self.conv2(x))))
        x = self.relu3(self.conv3(x))
        x = self.relu4(self.conv4(x))
        x = self.pool5(self.relu5(self.conv5(x)))
        x = self.relu6(self.fc6(self.drop6(self.flatten(x))))
        x = self.relu7(self.fc7(self.drop7(x)))
        return self.fc8(x)


register(
    "alexnet",
    family="AlexNet",
    year=2012,
    paper="Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural "
    "Networks, NIPS 2012",
    parameters=60_965_224,
    input_size=224,
    smallest=63,
    stem=Stem(("conv1", "relu1", "norm1"), stride=4, channels=96),
    stages={
        "stem": "norm1",
        "early": "relu2",
        "middle": "relu4",
        "late": "relu5",
        "penultimate": "relu7",
    },
    options={
        **pre_batch_norm.options(dropout=0.5, initialisation="gaussian"),
        "small_stem": SMALL_STEM,
    },
)(AlexNet)
