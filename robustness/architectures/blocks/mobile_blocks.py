"""What MobileNet and EfficientNet share: timm's ``EfficientNet`` class, fed with a table of blocks."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from torch import nn


def network(
    table: Sequence[str],
    *,
    activation: str,
    num_classes: int,
    in_channels: int,
    width: float,
    depth: float,
    head_channels: int,
    dropout: float,
    drop_path: float,
    small_stem: bool,
) -> nn.Module:
    """timm's network for a table with one string of block settings a stage.

    ``width`` multiplies channel counts (rounded to multiples of 8, never down by more than a tenth) and
    ``depth`` the blocks of a stage (rounded up); ``head_channels`` counts the last 1x1 convolution's maps
    before ``width``, 0 leaves it out. ``small_stem``: the first convolution at stride 1.
    """
    from timm.models._efficientnet_builder import decode_arch_def, round_channels
    from timm.models.efficientnet import EfficientNet

    rounded = functools.partial(round_channels, multiplier=width)
    made = EfficientNet(
        block_args=decode_arch_def([[row] for row in table], depth_multiplier=depth),
        num_classes=num_classes,
        num_features=rounded(head_channels) if head_channels else 0,
        in_chans=in_channels,
        stem_size=32,
        round_chs_fn=rounded,
        act_layer=activation,
        drop_rate=dropout,
        drop_path_rate=drop_path,
    )
    if small_stem:
        made.conv_stem.stride = (1, 1)
    return made
