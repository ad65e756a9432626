"""A control: the architecture's own stem at the stride of the filter bank."""

from __future__ import annotations

from torch import Tensor, nn

from robustness.frontends.blocks.fitting import Resize
from robustness.frontends.registry import ReplacedStem, register


class Subsample(nn.Module):
    """Every ``step``-th place of maps (N, C, h, w): a convolution before it has so many times its stride."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        return x[..., :: self.step, :: self.step]

    def extra_repr(self) -> str:
        return str(self.step)


@register("learned_coarse")
def learned_coarse(stem: ReplacedStem) -> tuple[nn.Module, ...]:
    """The stem at the least stride of a filter bank, its map interpolated to its own size as that of a bank:
    what the bank's stride does alone. A stem whose stride is as large stays as it is."""
    step = max(1, stem.options.minimum_stride // stem.stride)
    if step == 1:
        return stem.modules
    height, width = stem.output.shape[-2:]
    coarse = (-(-height // step), -(-width // step))
    return (
        *stem.modules[:-1],
        nn.Sequential(stem.modules[-1], Subsample(step), Resize(coarse, (height, width))),
    )
