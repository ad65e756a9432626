"""GoogLeNet (Szegedy et al. 2014): inception modules with real 5x5 branches, local response normalisation.

torchvision's ``googlenet`` has 3x3 windows where the paper has 5x5, and batch normalisation, which came
later; here it is an option. ``auxiliary=True`` adds the paper's two side classifiers; ``forward`` gives the
main logits all the same, and :meth:`GoogLeNet.forward_with_auxiliary` gives the three, for a loss that weighs
the side ones with 0.3. ``width`` scales the maps of every branch and the side classifiers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustness.architectures.blocks import pre_batch_norm
from robustness.architectures.blocks.pre_batch_norm import convolution, initialise
from robustness.architectures.blocks.response_normalisation import LocalResponseNorm
from robustness.architectures.blocks.widths import scaled
from robustness.architectures.registry import SMALL_STEM, Stem, register, switch
from robustness.errors import UserError

# Table 1 of the paper: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection.
MODULES: dict[str, tuple[int, int, int, int, int, int]] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def _conv_relu(inputs: int, outputs: int, kernel: int, batch_norm: bool) -> nn.Sequential:
    return nn.Sequential(
        convolution(inputs, outputs, kernel, padding=kernel // 2, batch_norm=batch_norm), nn.ReLU()
    )


class Inception(nn.Module):
    """1x1, 3x3, 5x5 and pooling branches side by side. (N, C, H, W) to (N, ``channels``, H, W)."""

    def __init__(self, inputs: int, name: str, width: float, batch_norm: bool) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, project = (scaled(count, width, 4) for count in MODULES[name])
        self.branch1 = _conv_relu(inputs, one, 1, batch_norm)
        self.branch3 = nn.Sequential(
            _conv_relu(inputs, reduce3, 1, batch_norm), _conv_relu(reduce3, three, 3, batch_norm)
        )
        self.branch5 = nn.Sequential(
            _conv_relu(inputs, reduce5, 1, batch_norm), _conv_relu(reduce5, five, 5, batch_norm)
        )
        self.branch_pool = nn.Sequential(
            nn.MaxPool2d(3, 1, padding=1), _conv_relu(inputs, project, 1, batch_norm)
        )
        self.channels = one + three + five + project

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch3(x), self.branch5(x), self.branch_pool(x)], dim=1)


class SideClassifier(nn.Module):
    """The auxiliary head: 5x5 average pooling at stride 3, 1x1 convolution, two fully connected layers."""

    def __init__(self, inputs: int, side: int, num_classes: int, width: float, batch_norm: bool) -> None:
        super().__init__()
        maps, hidden = scaled(128, width, 4), scaled(1024, width, 4)
        pooled = (side - 5) // 3 + 1
        self.pool = nn.AvgPool2d(5, 3)
        self.conv = _conv_relu(inputs, maps, 1, batch_norm)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(maps * pooled**2, hidden)
        self.relu = nn.ReLU()
        self.drop = nn.Dropout(0.7)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.flatten(self.conv(self.pool(x)))
        return self.fc2(self.drop(self.relu(self.fc1(x))))


def _halved(size: int) -> int:
    """Height after one of the stride-2 layers, all of which round up."""
    return (size + 1) // 2


class GoogLeNet(nn.Module):
    """22 layers with parameters. Images (N, C, S, S) to logits (N, classes)."""

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
        auxiliary: bool,
        small_stem: bool,
    ) -> None:
        super().__init__()
        c1, c2, c3 = scaled(64, width, 4), scaled(64, width, 4), scaled(192, width, 4)
        side = _halved(_halved(image_size if small_stem else _halved(_halved(image_size))))
        if auxiliary and side < 5:
            raise UserError(
                f"googlenet: option auxiliary is True at image_size {image_size}, where the side classifiers "
                f"see maps of {side}x{side}; they need 5x5, so an image_size of 65 or more"
            )
        kernel, stride = (3, 1) if small_stem else (7, 2)
        self.conv1 = convolution(
            in_channels, c1, kernel, stride=stride, padding=kernel // 2, batch_norm=batch_norm
        )
        self.relu1 = nn.ReLU()
        self.pool1 = nn.Identity() if small_stem else nn.MaxPool2d(3, 2, ceil_mode=True)
        self.norm1 = LocalResponseNorm()
        self.conv2 = convolution(c1, c2, 1, batch_norm=batch_norm)
        self.relu2 = nn.ReLU()
        self.conv3 = convolution(c2, c3, 3, padding=1, batch_norm=batch_norm)
        self.relu3 = nn.ReLU()
        self.norm3 = LocalResponseNorm()
        self.pool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
        channels, outputs = c3, {}
        for name in MODULES:
            module = Inception(channels, name, width, batch_norm)
            self.add_module(f"inception{name}", module)
            channels = outputs[name] = module.channels
        self.pool4 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.pool5 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.global_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        self.side4a = self.side4d = None
        if auxiliary:
            self.side4a = SideClassifier(outputs["4a"], side, num_classes, width, batch_norm)
            self.side4d = SideClassifier(outputs["4d"], side, num_classes, width, batch_norm)
        initialise(self, initialisation)

    def _features(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.norm1(self.pool1(self.relu1(self.conv1(x))))
        x = self.relu2(self.conv2(x))
        x = self.pool3(self.norm3(self.relu3(self.conv3(x))))
        x = self.pool4(self.inception3b(self.inception3a(x)))
        side4a = self.inception4a(x)
        side4d = self.inception4d(self.inception4c(self.inception4b(side4a)))
        x = self.pool5(self.inception4e(side4d))
        return side4a, side4d, self.inception5b(self.inception5a(x))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images."""
        _, _, x = self._features(x)
        return self.fc(self.dropout(self.global_pool(x)))

    def forward_with_auxiliary(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Main logits and those of the side classifiers after 4a and 4d, each (N, classes).

        Raises UserError if the network was built without ``auxiliary=True``.
        """
        if self.side4a is None or self.side4d is None:
            raise UserError("googlenet: built without side classifiers; build it with auxiliary=True")
        side4a, side4d, x = self._features(x)
        return self.fc(self.dropout(self.global_pool(x))), self.side4a(side4a), self.side4d(side4d)


register(
    "googlenet",
    family="GoogLeNet",
    year=2014,
    paper="Szegedy et al.: Going Deeper with Convolutions, CVPR 2015 (arXiv 1409.4842)",
    parameters=6_998_552,
    input_size=224,
    smallest=32,
    stem=Stem(("conv1", "relu1", "pool1"), stride=4, channels=64),
    stages={
        "stem": "pool1",
        "early": "inception3b",
        "middle": "inception4c",
        "late": "inception5b",
        "penultimate": "global_pool",
    },
    options={
        **pre_batch_norm.options(dropout=0.4, initialisation="glorot"),
        "auxiliary": switch(False, "the paper's two side classifiers"),
        "small_stem": SMALL_STEM,
    },
)(GoogLeNet)
