"""Family, year and paper of the networks of pretrained weights that the registry does not know."""

from __future__ import annotations

from typing import NamedTuple

from robustness import architectures


class Metadata(NamedTuple):
    """What a report says of an architecture; the year is 0 and the paper empty where nothing is known."""

    family: str
    year: int
    paper: str


_BY_PREFIX = {
    "tf_efficientnet_lite": Metadata(
        "EfficientNet",
        2020,
        "Liu: Higher accuracy on vision models with EfficientNet-Lite, TensorFlow blog 2020",
    ),
    "mobilenetv2": Metadata(
        "MobileNet",
        2018,
        "Sandler et al.: MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018 "
        "(arXiv 1801.04381)",
    ),
    "shufflenet_v2": Metadata(
        "ShuffleNet",
        2018,
        "Ma et al.: ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design, ECCV 2018 "
        "(arXiv 1807.11164)",
    ),
}


def metadata(architecture: str) -> Metadata:
    """What is known of an architecture: the registry's entry, this table's, or its bare name."""
    if architecture in architectures.names():
        entry = architectures.get(architecture)
        return Metadata(entry.family, entry.year, entry.paper)
    for prefix, found in _BY_PREFIX.items():
        if architecture.startswith(prefix):
            return found
    return Metadata(architecture, 0, "")
