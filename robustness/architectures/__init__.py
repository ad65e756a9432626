"""Image classifiers from the Neocognitron (1979) to EfficientNet (2020), under one registry.

:func:`names` lists them, :func:`get` tells what is published of one, :func:`build` makes the network.
"""

from robustness.architectures import (
    alexnet,
    amoebanet,
    efficientnet,
    googlenet,
    lenet,
    mobilenet,
    nasnet,
    neocognitron,
    resnet,
    shufflenet,
    vgg,
    zfnet,
)
from robustness.architectures.registry import STAGES, Architecture, Option, Stem, build, get, names

__all__ = ["STAGES", "Architecture", "Option", "Stem", "build", "get", "names"]

_FAMILIES = (
    lenet,
    alexnet,
    zfnet,
    googlenet,
    vgg,
    resnet,
    mobilenet,
    shufflenet,
    nasnet,
    neocognitron,
    amoebanet,
    efficientnet,
)
