"""MobileNet v1 (Howard et al. 2017): each block a depthwise 3x3 and a pointwise 1x1 convolution.

timm's network, with its names and weights. ``width`` is the paper's width multiplier. ``se=True`` puts a
squeeze-and-excitation gate (reduction 16) after each block, as in table 3 of the SE-Net paper, whose
SE-MobileNet has 4.7 million parameters; this one has 4.71.
"""

from __future__ import annotations

from torch import nn

from robustness.architectures.blocks import mobile_blocks
from robustness.architectures.registry import BN_MOMENTUM, SMALL_STEM, Stem, number, register, switch

# Table 1 of the paper: repeats, kernel, stride of the first, channels.
TABLE = (
    "dsa_r1_k3_s1_c64",
    "dsa_r2_k3_s2_c128",
    "dsa_r2_k3_s2_c256",
    "dsa_r6_k3_s2_c512",
    "dsa_r2_k3_s2_c1024",
)


def _mobilenet(
    *,
    num_classes: int,
    in_channels: int,
    image_size: int,
    width: float,
    depth: float,
    dropout: float,
    drop_path: float,
    se: bool,
    small_stem: bool,
) -> nn.Module:
    network = mobile_blocks.network(
        TABLE,
        activation="relu6",
        num_classes=num_classes,
        in_channels=in_channels,
        width=width,
        depth=depth,
        head_channels=0,
        dropout=dropout,
        drop_path=drop_path,
        small_stem=small_stem,
    )
    if se:
        _add_gates(network)
    return network


def _add_gates(network: nn.Module) -> None:
    from timm.layers import SEModule

    for stage in network.blocks:
        for index, block in enumerate(stage):
            stage[index] = nn.Sequential(block, SEModule(block.conv_pw.out_channels, rd_divisor=1))


register(
    "mobilenet_v1",
    family="MobileNet",
    year=2017,
    paper="Howard et al.: MobileNets: Efficient Convolutional Neural Networks for Mobile Vision "
    "Applications, 2017 (arXiv 1704.04861)",
    parameters=4_231_976,
    input_size=224,
    smallest=32,
    stem=Stem(("conv_stem", "bn1"), stride=2, channels=32),
    stages={
        "stem": "bn1",
        "early": "blocks.1",
        "middle": "blocks.3",
        "late": "blocks.4",
        "penultimate": "global_pool",
    },
    options={
        "depth": number(1.0, 0.1, 4, "multiplier of the blocks in a stage, rounded up"),
        "dropout": number(0.0, 0, 0.95, "chance that an input of the last layer is silenced"),
        "drop_path": number(0.0, 0, 0.95, "stochastic depth: chance that the last block is skipped"),
        "bn_momentum": BN_MOMENTUM,
        "se": switch(False, "squeeze-and-excitation gates after every block"),
        "small_stem": SMALL_STEM,
    },
    pretrained="timm/mobilenetv1_100",
)(_mobilenet)
