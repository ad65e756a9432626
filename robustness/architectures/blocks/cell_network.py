"""The network around the cells: two reduction stems, then three stacks of N normal cells with reductions
between. Shared by NASNet-A and AmoebaNet-A.

A cell reads the two outputs before it. Filters double at each reduction; the stem cells have a quarter and a
half of XX
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from robustness.architectures.blocks.cells import Cell, Genotype, batch_norm
from robustness.architectures.blocks.widths import scaled
from robustness.architectures.registry import BN_MOMENTUM, SMALL_STEM, Option, Stem, number

STEM = Stem(("conv0",), stride=2, channels=32)
STAGES = {"stem": "conv0", "early": "early", "middle": "middle", "late": "late", "penultimate": "global_pool"}


class CellNetwork(nn.Module):
    """Images (N, C, S, S) to logits (N, classes).

    ``cells`` is N, ``filters`` F of the first stack at width 1, ``stem_channels`` those of the first
    convolution. ``skip_reduction``: the first cell after a reduction takes as its second input what the
    reduction took as its second (NASNet large), not what it took as its first. ``small_stem``: the first
    convolution at stride 1 and no stem cells, the papers' networks for CIFAR-10.
    """

    def __init__(
        self,
        genotype: Genotype,
        *,
        num_classes: int,
        in_channels: int,
        width: float,
        cells: int,
        filters: int,
        stem_channels: int,
        skip_reduction: bool,
        dropout: float,
        drop_path: float,
        small_stem: bool = False,
    ) -> None:
        super().__init__()
        first, stem_channels = scaled(filters, width, 4), scaled(stem_channels, width, 4)
        # Stem cells, three stacks of N, two reductions; drop path grows linearly with the depth of a cell.
        total = (0 if small_stem else 2) + 3 * cells + 2
        made = 0

        def cell(reduction: bool, current: int, previous: int | None, filters: int, halve: bool) -> Cell:
            nonlocal made
            made += 1
            return Cell(
                genotype.reduction if reduction else genotype.normal,
                current=current,
                previous=previous,
                filters=filters,
                stride=2 if reduction else 1,
                previous_stride=2 if halve else 1,
                drop_path=drop_path * made / total,
            )

        self.skip_reduction = skip_reduction
        how = {"stride": 1, "padding": 1} if small_stem else {"stride": 2}
        stem = nn.Conv2d(in_channels, stem_channels, 3, bias=False, **how)
        self.conv0 = nn.Sequential()
        self.conv0.add_module("conv", stem)
        self.conv0.add_module("bn", batch_norm(stem_channels))
        self.stem_cell0 = self.stem_cell1 = None
        current, previous, halve = stem_channels, stem_channels, False
        if not small_stem:
            self.stem_cell0 = cell(True, stem_channels, None, first // 4, False)
            self.stem_cell1 = cell(True, self.stem_cell0.channels, stem_channels, first // 2, True)
            current, previous, halve = self.stem_cell1.channels, self.stem_cell0.channels, True
        for stack in range(3):
            wide = first * 2**stack
            if stack > 0:
                reduction = cell(True, current, previous, wide, False)
                self.add_module(f"reduction{stack}", reduction)
                previous = previous if skip_reduction else current
                current, halve = reduction.channels, True
            layers = nn.ModuleList()
            for _ in range(cells):
                layers.append(cell(False, current, previous, wide, halve))
                current, previous, halve = layers[-1].channels, current, False
            self.add_module(f"stack{stack}", layers)
        self.early, self.middle, self.late = nn.Identity(), nn.Identity(), nn.Identity()
        self.act = nn.ReLU()
        self.global_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.dropout = nn.Dropout(dropout)
        self.last_linear = nn.Linear(current, num_classes)
        self._initialise()

    def _initialise(self) -> None:
        """He initialisation by fan-out, counted within a group, so that depthwise filters do not vanish."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.out_channels // module.groups * math.prod(module.kernel_size)
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))

    def _run(self, stack: nn.ModuleList, current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        for cell in stack:
            current, previous = cell(current, previous), current
        return current, previous

    def _reduce(self, reduction: Cell, current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        return reduction(current, previous), previous if self.skip_reduction else current

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images."""
        current = previous = x = self.conv0(x)
        if self.stem_cell0 is not None:
            previous = self.stem_cell0(x, None)
            current = self.stem_cell1(previous, x)
        current, previous = self._run(self.stack0, current, previous)
        current, previous = self._reduce(self.reduction1, self.early(current), previous)
        current, previous = self._run(self.stack1, current, previous)
        current, previous = self._reduce(self.reduction2, self.middle(current), previous)
        current, _ = self._run(self.stack2, current, previous)
        return self.last_linear(self.dropout(self.global_pool(self.act(self.late(current)))))


def options(cells: int) -> dict[str, Option]:
    """The options of a network of cells; ``cells`` is the published N."""
    return {
        "cells": number(cells, 1, 18, "normal cells in each of the three stacks (the papers' N)"),
        "dropout": number(0.5, 0, 0.95, "chance that an input of the last layer is silenced"),
        "drop_path": number(0.0, 0, 0.95, "chance that an operation of the last cell is silenced"),
        "bn_momentum": BN_MOMENTUM,
        "small_stem": SMALL_STEM,
    }
