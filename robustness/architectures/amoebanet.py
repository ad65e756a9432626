"""AmoebaNet-A (Real et al. 2019): a cell found by regularised evolution, on NASNet's skeleton.

The paper names a network by N, the normal cells a stack, and F, the filters of the first stack. It gives its
parameter counts in millions, to two or three digits.
"""

from __future__ import annotations

import functools

from torch import nn

from robustness.architectures.blocks import cell_network
from robustness.architectures.blocks.cell_network import CellNetwork
from robustness.architectures.blocks.cells import CellSpec, Genotype
from robustness.architectures.registry import register

# Figure 5 of the paper.
AMOEBANET_A = Genotype(
    normal=CellSpec(
        operations=(
            "avg_3x3", "max_3x3", "sep_3x3", "none", "none",
            "avg_3x3", "sep_3x3", "sep_5x5", "avg_3x3", "sep_3x3",
        ),
        inputs=(0, 0, 1, 1, 0, 1, 0, 2, 5, 0),
        used=(1, 0, 1, 0, 0, 1, 0),
    ),
    reduction=CellSpec(
        operations=(
            "sep_3x3", "avg_3x3", "max_3x3", "sep_7x7", "max_3x3",
            "max_3x3", "sep_3x3", "1x7_7x1", "avg_3x3", "sep_7x7",
        ),
        inputs=(1, 0, 0, 2, 1, 0, 4, 0, 1, 0),
        used=(1, 1, 0, 0, 0, 0, 0),
    ),
)  # fmt: skip


def _amoebanet(
    *,
    filters: int,
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
        AMOEBANET_A,
        num_classes=num_classes,
        in_channels=in_channels,
        width=width,
        cells=cells,
        filters=filters,
        stem_channels=32,
        skip_reduction=False,
        dropout=dropout,
        drop_path=drop_path,
        small_stem=small_stem,
    )


def _register(name: str, parameters: int, input_size: int, cells: int, filters: int) -> None:
    register(
        name,
        family="AmoebaNet-A",
        year=2019,
        paper="Real, Aggarwal, Huang, Le: Regularized Evolution for Image Classifier Architecture "
        "Search, AAAI 2019 (arXiv 1802.01548)",
        parameters=parameters,
        input_size=input_size,
        smallest=32,
        stem=cell_network.STEM,
        stages=cell_network.STAGES,
        options=cell_network.options(cells=cells),
    )(functools.partial(_amoebanet, filters=filters))


_register("amoebanet_a_mobile", 5_100_000, 224, cells=4, filters=50)
_register("amoebanet_a", 86_700_000, 331, cells=6, filters=190)
