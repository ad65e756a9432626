"""Installation of a front-end as a network's stem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import nn

from robustness.frontends.options import FrontendOptions
from robustness.frontends.registry import ReplacedStem, get

if TYPE_CHECKING:
    from robustness.architectures import Architecture


def install(
    network: nn.Module,
    architecture: Architecture,
    name: str,
    *,
    image_size: int,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.25, 0.25, 0.25),
    seed: int,
    options: FrontendOptions | None = None,
) -> nn.Module:
    """Replace the network's stem by the front-end `name` and return the network.

    The original stem is run on images of image_size × image_size pixels to learn which (channels, height,
    width) the rest of the network needs; the front-end gives exactly that. Images in [0, 1] come to it as
    (x − mean)/std, channel by channel. torch's global generator is left alone. Raises UserError for an
    unknown name or settings that do not fit the images.
    """
    paths = architecture.stem.modules
    stem = ReplacedStem(
        architecture=architecture.name,
        modules=tuple(network.get_submodule(path) for path in paths),
        stride=architecture.stem.stride,
        image_size=image_size,
        mean=tuple(mean),
        std=tuple(std),
        self_organises=hasattr(network, "self_organise"),
        seed=seed,
        options=options or FrontendOptions(),
    )
    for path, module in zip(paths, get(name).replace(stem), strict=True):
        parent, _, child = path.rpartition(".")
        setattr(network.get_submodule(parent), child, module)
    return network
