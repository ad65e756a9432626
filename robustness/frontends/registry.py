"""The front-ends by name: each says what stands in the place of a network's stem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from robustness.errors import UserError
from robustness.frontends.options import FrontendOptions
from robustness.registry import Registry
from robustness.seeds import torch_generator


@dataclass(frozen=True)
class ReplacedStem:
    """A stem that a front-end replaces: its modules, called one after another, and what is known of it.

    stride: pixels of the image per pixel of the stem's map; mean, std: per channel, of the normalisation that
    images in [0, 1] have gone through; self_organises: whether the network has no
    gradient training (``self_organise``); seed: of the front-end's draws.
    """

    architecture: str
    modules: tuple[nn.Module, ...]
    stride: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    self_organises: bool
    seed: int
    options: FrontendOptions

    @property
    def in_channels(self) -> int:
        """Channels of an image."""
        return len(self.mean)

    @cached_property
    def output(self) -> Tensor:
        """Its map (4, C, h, w) of four images, with no trace left in the network.

        Two images of seeded noise, opposite to each other, and the two constant ones: a stem whose responses
        can be negative shows it on one of them. Raises UserError if it gives no map.
        """
        training = [(part, part.training) for module in self.modules for part in module.modules()]
        shape = (1, self.in_channels, self.image_size, self.image_size)
        image = torch.randn(shape, generator=torch_generator(self.seed, "frontend", "dry run"))
        output = torch.cat([image, -image, torch.ones(shape), -torch.ones(shape)])
        try:
            for module in self.modules:
                module.eval()
            with torch.no_grad():
                for module in self.modules:
                    output = module(output)
        finally:
            for part, mode in training:
                part.training = mode
        if output.ndim != 4:
            raise UserError(
                f"the stem of {self.architecture} gives shape {tuple(output.shape)}; a map (N, C, H, W) is "
                "needed"
            )
        return output


@dataclass(frozen=True)
class Frontend:
    """A front-end of the registry: ``replace`` gives a module for each of the stem's, in their order."""

    name: str
    replace: Callable[[ReplacedStem], Sequence[nn.Module]]


FRONTENDS: Registry[Frontend] = Registry("frontend", Frontend)
register, names, get = FRONTENDS.register, FRONTENDS.names, FRONTENDS.get
