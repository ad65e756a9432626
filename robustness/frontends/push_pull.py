"""A rival: the stem's first convolution with push-pull inhibition (Strisciuglio et al. 2020)."""

from __future__ import annotations

import copy
import math

from torch import Tensor, nn
from torch.nn import functional

from robustness.errors import UserError
from robustness.frontends.registry import ReplacedStem, register

INHIBITION = 1.0
"""Strength α of the pull response (Strisciuglio et al. 2020, doi 10.1007/s00521-020-04751-8)."""
PULL_SCALE = 2.0
"""Side h of the pull kernel, in sides of the push kernel (same source)."""


class PushPull(nn.Module):
    """relu(w∗x) − α·relu(−(w↑h)∗x): a filter, inhibited by its negative at h times the size.

    Images (N, C, H, W) → maps of the convolution's own size, of either sign. w↑h is w interpolated
    bilinearly, corners on corners, to ⌊h·side⌋ pixels, one more if that is even, and not rescaled. Only w is
    trained, through both terms; a bias is left out, as published. At h = 1 and α = 1 this is the convolution.
    """

    def __init__(self, conv: nn.Conv2d, inhibition: float = INHIBITION, scale: float = PULL_SCALE) -> None:
        super().__init__()
        self.weight = nn.Parameter(conv.weight.detach().clone())
        self.inhibition, self.scale = inhibition, scale
        self.stride, self.padding, self.groups = conv.stride, conv.padding, conv.groups

    def forward(self, images: Tensor) -> Tensor:
        push = functional.conv2d(images, self.weight, None, self.stride, self.padding, groups=self.groups)
        pull = functional.conv2d(
            self._padded(images), -self._pull_kernel(), None, self.stride, 0, 1, self.groups
        )
        return push.relu() - self.inhibition * pull.relu()

    def _pull_sides(self) -> list[int]:
        return [math.floor(self.scale * side) // 2 * 2 + 1 for side in self.weight.shape[2:]]

    def _pull_kernel(self) -> Tensor:
        return functional.interpolate(
            self.weight, size=self._pull_sides(), mode="bilinear", align_corners=True
        )

    def _padded(self, images: Tensor) -> Tensor:
        """With so many more zeros around them that both kernels have their centres at the same pixels."""
        pad = []
        sides = zip(self.padding, self._pull_sides(), self.weight.shape[2:], strict=True)
        for padding, large, small in reversed(list(sides)):
            before = (large - small) // 2
            pad += [padding + before, padding + large - small - before]
        return functional.pad(images, pad)

    def extra_repr(self) -> str:
        return f"{tuple(self.weight.shape)}, stride={self.stride}, α={self.inhibition}, h={self.scale}"


@register("push_pull")
def push_pull(stem: ReplacedStem) -> tuple[nn.Module, ...]:
    """The stem with its first convolution replaced by :class:`PushPull`, from the same initial weights.

    Raises UserError if the stem does not begin with a convolution, or its kernel has a dilation or a padding
    other than zeros.
    """
    first = copy.deepcopy(stem.modules[0])
    found = next(((path, part) for path, part in first.named_modules() if isinstance(part, nn.Conv2d)), None)
    if found is None:
        raise UserError(
            f"frontend push_pull: the stem of {stem.architecture} does not begin with a convolution; choose "
            "another front-end for this model"
        )
    path, conv = found
    if conv.dilation != (1, 1) or isinstance(conv.padding, str) or conv.padding_mode != "zeros":
        raise UserError(
            f"frontend push_pull: the first convolution of {stem.architecture} has dilation "
            f"{conv.dilation} and padding {conv.padding!r} ({conv.padding_mode}); it must be undilated, with "
            "a number of zeros around the image"
        )
    if not path:
        return (PushPull(conv), *stem.modules[1:])
    parent, _, child = path.rpartition(".")
    setattr(first.get_submodule(parent), child, PushPull(conv))
    return (first, *stem.modules[1:])
