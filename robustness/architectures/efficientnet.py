"""EfficientNet B0 to B7 (Tan and Le 2019): one network, scaled by a compound coefficient.

The paper finds depth 1.2^phi, width 1.1^phi and resolution 1.15^phi on B0, with 1.2 * 1.1^2 * 1.15^2 close
to 2, so that each step of phi doubles the cost. The released B1 to B7 round those powers to the multipliers
below.

timm's network, with its names and weights. ``width`` and ``depth`` multiply those of the variant. Dropout and
stochastic depth default to the published values.
"""

from __future__ import annotations

import functools

from torch import nn

from robustness.architectures.blocks import mobile_blocks
from robustness.architectures.registry import BN_MOMENTUM, SMALL_STEM, Stem, number, register

# Table 1 of the paper: repeats, kernel, stride of the first, expansion, channels, squeeze ratio.
TABLE = (
    "ds_r1_k3_s1_e1_c16_se0.25",
    "ir_r2_k3_s2_e6_c24_se0.25",
    "ir_r2_k5_s2_e6_c40_se0.25",
    "ir_r3_k3_s2_e6_c80_se0.25",
    "ir_r3_k5_s1_e6_c112_se0.25",
    "ir_r4_k5_s2_e6_c192_se0.25",
    "ir_r1_k3_s1_e6_c320_se0.25",
)

# Variant: width, depth, image size, dropout, parameters, channels of the stem.
VARIANTS: dict[str, tuple[float, float, int, float, int, int]] = {
    "b0": (1.0, 1.0, 224, 0.2, 5_288_548, 32),
    "b1": (1.0, 1.1, 240, 0.2, 7_794_184, 32),
    "b2": (1.1, 1.2, 260, 0.3, 9_109_994, 32),
    "b3": (1.2, 1.4, 300, 0.3, 12_233_232, 40),
    "b4": (1.4, 1.8, 380, 0.4, 19_341_616, 48),
    "b5": (1.6, 2.2, 456, 0.4, 30_389_784, 48),
    "b6": (1.8, 2.6, 528, 0.5, 43_040_704, 56),
    "b7": (2.0, 3.1, 600, 0.5, 66_347_960, 64),
}


def _efficientnet(
    *,
    variant_width: float,
    variant_depth: float,
    num_classes: int,
    in_channels: int,
    image_size: int,
    width: float,
    depth: float,
    dropout: float,
    drop_path: float,
    small_stem: bool,
) -> nn.Module:
    return mobile_blocks.network(
        TABLE,
        activation="silu",
        num_classes=num_classes,
        in_channels=in_channels,
        width=variant_width * width,
        depth=variant_depth * depth,
        head_channels=1280,
        dropout=dropout,
        drop_path=drop_path,
        small_stem=small_stem,
    )


def _register(variant: str) -> None:
    wide, deep, size, dropout, parameters, stem = VARIANTS[variant]
    register(
        f"efficientnet_{variant}",
        family="EfficientNet",
        year=2019,
        paper="Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, "
        "ICML 2019 (arXiv 1905.11946)",
        parameters=parameters,
        input_size=size,
        smallest=32,
        stem=Stem(("conv_stem", "bn1"), stride=2, channels=stem),
        stages={
            "stem": "bn1",
            "early": "blocks.1",
            "middle": "blocks.4",
            "late": "blocks.6",
            "penultimate": "global_pool",
        },
        options={
            "depth": number(1.0, 0.1, 4, "multiplier of the blocks in a stage, rounded up"),
            "dropout": number(dropout, 0, 0.95, "chance that an input of the last layer is silenced"),
            "drop_path": number(0.2, 0, 0.95, "stochastic depth: chance that the last block is skipped"),
            "bn_momentum": BN_MOMENTUM,
            "small_stem": SMALL_STEM,
        },
        pretrained=f"timm/efficientnet_{variant}",
    )(functools.partial(_efficientnet, variant_width=wide, variant_depth=deep))


for _variant in VARIANTS:
    _register(_variant)
