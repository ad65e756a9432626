"""ResNet (He et al. 2015), ResNeXt (Xie et al. 2016), SE-ResNet (Hu et al. 2017) and the plain control nets.

All are timm's ``ResNet`` class with its layer names, so timm's and torchvision's weights fit. timm fixes the
stem at 64 channels; for another ``width`` the stem and the block that reads it are made anew.

``se=True`` puts a squeeze-and-excitation gate (reduction 16) at the end of every block, before the addition.
The plain nets are the paper's control for "degradation": the same layers without the identity skips, and
so without the 1x1 projections too.
"""

from __future__ import annotations

import functools

from torch import nn

from robustness.architectures.blocks.widths import scaled
from robustness.architectures.registry import (
    BN_MOMENTUM,
    SMALL_STEM,
    Option,
    Stem,
    number,
    register,
    switch,
)

PLANES = (64, 128, 256, 512)
RESNET = "He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016 (arXiv 1512.03385)"
RESNEXT = (
    "Xie et al.: Aggregated Residual Transformations for Deep Neural Networks, CVPR 2017 (arXiv 1611.05431)"
)
SENET = "Hu, Shen, Sun: Squeeze-and-Excitation Networks, CVPR 2018 (arXiv 1709.01507)"


@functools.cache
def _plain_block() -> type[nn.Module]:
    from timm.models.resnet import BasicBlock

    class PlainBlock(BasicBlock):
        """Two 3x3 convolutions, each with batch norm and ReLU, and nothing around them."""

        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            self.downsample = None

        def forward(self, x):
            x = self.act1(self.bn1(self.conv1(x)))
            return self.act2(self.se_or_identity(self.bn2(self.conv2(x))))

        def se_or_identity(self, x):
            return x if self.se is None else self.se(x)

    return PlainBlock


def _residual(
    *,
    num_classes: int,
    in_channels: int,
    image_size: int,
    width: float,
    layers: tuple[int, int, int, int],
    block: str,
    dropout: float,
    drop_path: float,
    zero_init: bool,
    small_stem: bool,
    se: bool = False,
    cardinality: int = 1,
    group_width: int = 64,
) -> nn.Module:
    from timm.models import resnet

    kind = {"basic": resnet.BasicBlock, "bottleneck": resnet.Bottleneck}.get(block) or _plain_block()
    # A narrow ResNeXt keeps its 32 groups and makes them narrower, so its counts stay multiples of 16.
    planes = tuple(scaled(channels, width, 16 if cardinality > 1 else 8) for channels in PLANES)
    settings = {"attn_layer": "se"} if se else {}
    network = resnet.ResNet(
        kind,
        layers,
        num_classes=num_classes,
        in_chans=in_channels,
        channels=planes,
        cardinality=cardinality,
        base_width=group_width,
        drop_rate=dropout,
        drop_path_rate=drop_path,
        zero_init_last=zero_init,
        block_args=settings,
    )
    if width != 1:
        _resize_stem(network, kind, in_channels, planes[0], cardinality, group_width, settings, zero_init)
    if small_stem:
        network.conv1 = nn.Conv2d(in_channels, planes[0], 3, padding=1, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
        network.maxpool = nn.Identity()
    return network


def _resize_stem(
    network: nn.Module,
    kind: type[nn.Module],
    in_channels: int,
    planes: int,
    cardinality: int,
    group_width: int,
    settings: dict[str, object],
    zero_init: bool,
) -> None:
    """Give the stem ``planes`` channels, and the first block that many inputs."""
    from timm.models.resnet import make_blocks

    network.conv1 = nn.Conv2d(in_channels, planes, 7, stride=2, padding=3, bias=False)
    network.bn1 = nn.BatchNorm2d(planes)
    ((_, stage),), _ = make_blocks(
        (kind,), (planes,), (2,), planes, cardinality=cardinality, base_width=group_width, **settings
    )
    first = stage[0]
    network.layer1[0] = first
    for module in (network.conv1, *first.modules()):
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if zero_init:
        first.zero_init_last()


def _options(se: bool | None) -> dict[str, Option]:
    shared = {
        "dropout": number(0.0, 0, 0.95, "chance that an input of the last layer is silenced"),
        "drop_path": number(0.0, 0, 0.95, "stochastic depth: chance that the last block is skipped"),
        "zero_init": switch(False, "start every block as the identity (gain of its last batch norm 0)"),
        "bn_momentum": BN_MOMENTUM,
        "small_stem": SMALL_STEM,
    }
    gate = {} if se is None else {"se": switch(se, "squeeze-and-excitation gates in every block")}
    return {**shared, **gate}


def _register(
    name: str,
    parameters: int,
    layers: tuple[int, int, int, int],
    block: str,
    *,
    family: str = "ResNet",
    year: int = 2015,
    paper: str = RESNET,
    se: bool | None = False,
    pretrained: str | None = None,
    **fixed: int,
) -> None:
    register(
        name,
        family=family,
        year=year,
        paper=paper,
        parameters=parameters,
        input_size=224,
        smallest=32,
        stem=Stem(("conv1", "bn1", "act1", "maxpool"), stride=4, channels=64),
        stages={
            "stem": "maxpool",
            "early": "layer1",
            "middle": "layer3",
            "late": "layer4",
            "penultimate": "global_pool",
        },
        options=_options(se),
        pretrained=pretrained,
    )(functools.partial(_residual, layers=layers, block=block, **fixed))


_register("resnet50", 25_557_032, (3, 4, 6, 3), "bottleneck", pretrained="timm/resnet50")
_register("resnet18", 11_689_512, (2, 2, 2, 2), "basic", pretrained="timm/resnet18")
_register("resnet34", 21_797_672, (3, 4, 6, 3), "basic", pretrained="timm/resnet34")
_register("resnet101", 44_549_160, (3, 4, 23, 3), "bottleneck", pretrained="timm/resnet101")
_register("resnet152", 60_192_808, (3, 8, 36, 3), "bottleneck", pretrained="timm/resnet152")
_register("plain18", 11_515_688, (2, 2, 2, 2), "plain", se=None)
_register("plain34", 21_623_848, (3, 4, 6, 3), "plain", se=None)
_register(
    "resnext50_32x4d",
    25_028_904,
    (3, 4, 6, 3),
    "bottleneck",
    family="ResNeXt",
    year=2016,
    paper=RESNEXT,
    pretrained="timm/resnext50_32x4d",
    cardinality=32,
    group_width=4,
)
_register(
    "seresnet18",
    11_779_624,
    (2, 2, 2, 2),
    "basic",
    family="SE-Net",
    year=2017,
    paper=SENET,
    se=True,
    pretrained="timm/seresnet18",
)
_register(
    "seresnet50",
    28_088_024,
    (3, 4, 6, 3),
    "bottleneck",
    family="SE-Net",
    year=2017,
    paper=SENET,
    se=True,
    pretrained="timm/seresnet50",
)
