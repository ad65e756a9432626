"""ShuffleNet v1 (Zhang et al. 2017): grouped 1x1 convolutions, a channel shuffle, depthwise 3x3 convolutions.

``groups`` is the paper's g (table 1); a larger g gives more channels at the same cost. The first 1x1
convolution of stage 2 is not grouped, since it reads few channels. ``width`` is the paper's s in "ShuffleNet
s times", here applied to the first convolution too; counts stay multiples of 4g.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustness.architectures.blocks.widths import scaled
from robustness.architectures.registry import BN_MOMENTUM, SMALL_STEM, Stem, choice, number, register

# Table 1 of the paper: channels of stage 2 by g; each later stage doubles them.
STAGE2_CHANNELS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
STAGE_UNITS = (4, 8, 4)


class ChannelShuffle(nn.Module):
    """Channel j of group i becomes channel i of group j: every group then reads from all groups."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        x = x.view(n, self.groups, channels // self.groups, height, width)
        return x.transpose(1, 2).reshape(n, channels, height, width)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


class Unit(nn.Module):
    """A unit (the paper's figure 2): added to its input, or at stride 2 concatenated with its pool."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int, first_groups: int) -> None:
        super().__init__()
        bottleneck = outputs // 4
        branch = outputs - inputs if stride == 2 else outputs
        self.conv1 = nn.Conv2d(inputs, bottleneck, 1, groups=first_groups, bias=False)
        self.bn1 = nn.BatchNorm2d(bottleneck)
        self.act1 = nn.ReLU()
        self.shuffle = ChannelShuffle(groups)
        self.conv2 = nn.Conv2d(
            bottleneck, bottleneck, 3, stride=stride, padding=1, groups=bottleneck, bias=False
        )
        self.bn2 = nn.BatchNorm2d(bottleneck)
        self.conv3 = nn.Conv2d(bottleneck, branch, 1, groups=groups, bias=False)
        self.bn3 = nn.BatchNorm2d(branch)
        self.pool = nn.AvgPool2d(3, 2, padding=1) if stride == 2 else None
        self.act3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.shuffle(self.act1(self.bn1(self.conv1(x))))
        y = self.bn3(self.conv3(self.bn2(self.conv2(y))))
        return self.act3(x + y) if self.pool is None else self.act3(torch.cat([self.pool(x), y], dim=1))


class ShuffleNet(nn.Module):
    """Images (N, C, S, S) to logits (N, classes)."""

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        image_size: int,
        width: float,
        groups: int,
        dropout: float,
        small_stem: bool,
    ) -> None:
        super().__init__()
        channels = scaled(24, width, groups)
        stage2 = scaled(STAGE2_CHANNELS[groups], width, 4 * groups)
        # The first unit of stage 2 adds channels to its input, so it must give more than it reads.
        stage2 = max(stage2, 4 * groups * (channels // (4 * groups) + 1))
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=1 if small_stem else 2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = nn.ReLU()
        self.maxpool = nn.Identity() if small_stem else nn.MaxPool2d(3, 2, padding=1)
        for stage, units in enumerate(STAGE_UNITS, start=2):
            outputs = stage2 * 2 ** (stage - 2)
            layers = []
            for index in range(units):
                first_groups = 1 if stage == 2 and index == 0 else groups
                layers.append(Unit(channels, outputs, 2 if index == 0 else 1, groups, first_groups))
                channels = outputs
            self.add_module(f"stage{stage}", nn.Sequential(*layers))
        self.global_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images."""
        x = self.maxpool(self.act1(self.bn1(self.conv1(x))))
        x = self.stage4(self.stage3(self.stage2(x)))
        return self.fc(self.dropout(self.global_pool(x)))


register(
    "shufflenet_v1",
    family="ShuffleNet",
    year=2017,
    paper="Zhang, Zhou, Lin, Sun: ShuffleNet: An Extremely Efficient Convolutional Neural Network for "
    "Mobile Devices, CVPR 2018 (arXiv 1707.01083)",
    parameters=1_865_728,
    input_size=224,
    smallest=32,
    stem=Stem(("conv1", "bn1", "act1", "maxpool"), stride=4, channels=24),
    stages={
        "stem": "maxpool",
        "early": "stage2",
        "middle": "stage3",
        "late": "stage4",
        "penultimate": "global_pool",
    },
    options={
        "groups": choice(3, tuple(STAGE2_CHANNELS), "groups of the 1x1 convolutions (the paper's g)"),
        "dropout": number(0.0, 0, 0.95, "chance that an input of the last layer is silenced"),
        "bn_momentum": BN_MOMENTUM,
        "small_stem": SMALL_STEM,
    },
)(ShuffleNet)
