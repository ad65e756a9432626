"""NASNet-A (Zoph et al. 2018), mobile (4 @ 1056) and large (6 @ 4032).

``N @ P``: N normal cells a stack, P channels before the classifier, which is 24 times the filters of the
first stack. The large one is timm's ``NASNetALarge`` with its names and weights, at N = 6 only; the mobile
one is built on the skeleton that AmoebaNet-A uses too, and takes ``cells``. They differ in one detail: timm's
strided average pooling averages zeros in at the border, ours, like the authors', leaves them out.

The papers train with a drop-path that grows over the steps; a network does not know its step, so
``drop_path`` here grows with depth alone, and is 0 unless asked for.
"""

from __future__ import annotations

from torch import nn

from robustness.architectures.blocks import cell_network
from robustness.architectures.blocks.cell_network import CellNetwork
from robustness.architectures.blocks.cells import CellSpec, Genotype
from robustness.architectures.blocks.widths import scaled
from robustness.architectures.registry import BN_MOMENTUM, Stem, number, register

PAPER = (
    "Zoph, Vasudevan, Shlens, Le: Learning Transferable Architectures for Scalable Image Recognition, "
    "CVPR 2018 (arXiv 1707.07012)"
)

# Figure 4 of the paper.
NASNET_A = Genotype(
    normal=CellSpec(
        operations=(
            "sep_5x5", "sep_3x3", "sep_5x5", "sep_3x3", "avg_3x3",
            "none", "avg_3x3", "avg_3x3", "sep_3x3", "none",
        ),
        inputs=(0, 1, 1, 1, 0, 1, 1, 1, 0, 0),
        used=(1, 0, 0, 0, 0, 0, 0),
    ),
    reduction=CellSpec(
        operations=(
            "sep_5x5", "sep_7x7", "max_3x3", "sep_7x7", "avg_3x3",
            "sep_5x5", "none", "avg_3x3", "sep_3x3", "max_3x3",
        ),
        inputs=(0, 1, 0, 1, 0, 1, 3, 2, 2, 0),
        used=(1, 1, 1, 0, 0, 0, 0),
    ),
)  # fmt: skip


def _mobile(
    *,
    num_classes: int,
    in_channels: int,
    image_size: int,
    width: float,
    cells: int,
    dropout: float,
    drop_path: float,
    small_stem: bool,
) -> nn.Module:
    return CellNetwork(
        NASNET_A,
        num_classes=num_classes,
        in_channels=in_channels,
        width=width,
        cells=cells,
        filters=44,
        stem_channels=32,
        skip_reduction=False,
        dropout=dropout,
        drop_path=drop_path,
        small_stem=small_stem,
    )


def _large(*, num_classes: int, in_channels: int, image_size: int, width: float, dropout: float) -> nn.Module:
    from timm.models.nasnet import NASNetALarge

    return NASNetALarge(
        num_classes=num_classes,
        in_chans=in_channels,
        stem_size=scaled(96, width, 8),
        # timm divides the features by 24, and those by 4 for the first stem cell.
        num_features=24 * scaled(168, width, 8),
        drop_rate=dropout,
    )


register(
    "nasnet_a_mobile",
    family="NASNet-A",
    year=2018,
    paper=PAPER,
    parameters=5_289_978,
    input_size=224,
    smallest=32,
    stem=cell_network.STEM,
    stages=cell_network.STAGES,
    options=cell_network.options(cells=4),
)(_mobile)

register(
    "nasnet_a_large",
    family="NASNet-A",
    year=2018,
    paper=PAPER,
    parameters=88_753_150,
    input_size=331,
    smallest=32,
    stem=Stem(("conv0",), stride=2, channels=96),
    stages={
        "stem": "conv0",
        "early": "cell_5",
        "middle": "cell_11",
        "late": "cell_17",
        "penultimate": "global_pool",
    },
    options={
        "dropout": number(0.5, 0, 0.95, "chance that an input of the last layer is silenced"),
        "bn_momentum": BN_MOMENTUM,
    },
    pretrained="timm/nasnetalarge",
)(_large)
