"""Speed of the V1 block against a plain convolution: forward, backward to the image, and noise draws.

Run: ``python -m benchmarks.frontend_speed [--device cuda] [--repeats 7]``. The peer is what VOneNet's
description asks for when it is taken literally: one convolution whose bank has three input channels, two of
them zero for each filter, then the cells' responses. Both give the same outputs to 1e-4 of their size, which
is checked first. Contestants take turns in one process; figures are medians of ratios.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.timing import Row, ratio, write_record
from robustness import architectures, frontends
from robustness.frontends import FrontendOptions
from robustness.frontends.blocks.v1_block import SQRT_CONSTANT, V1Block
from robustness.processor import keep_freed_memory

CASES = {  # architecture whose stem has the stride, image size, stride, simple + complex cells, batch
    "64 px, stride 2, 256 + 256": ("efficientnet_b0", 64, 2, 256, 16),
    "64 px, stride 4, 256 + 256": ("resnet18", 64, 4, 256, 32),
    "64 px, stride 4, 64 + 64": ("resnet18", 64, 4, 64, 32),
    "224 px, stride 4, 256 + 256": ("resnet18", 224, 4, 256, 4),
}


class PlainBlock(nn.Module):
    """The same block as one convolution with a zero-padded bank of three input channels."""

    def __init__(self, block: V1Block) -> None:
        super().__init__()
        colours = functional.one_hot(block.filter_colours, 3).to(block.filters)
        self.bank = nn.Parameter(block.filters[:, None] * colours[:, :, None, None], requires_grad=False)
        self.simple, self.gain = block.simple_channels, block.gain
        self.stride = block.geometry[0][0]
        self.size = block.geometry[0][2]

    def forward(self, x: Tensor) -> Tensor:
        found = functional.conv2d(x, self.bank, stride=self.stride, padding=self.bank.shape[-1] // 2)
        found = found[:, :, : self.size, : self.size]
        complex_cells = (found.shape[1] - self.simple) // 2
        simple, first, second = found.split([self.simple, complex_cells, complex_cells], dim=1)
        energy = (first**2 + second**2) / 2 + SQRT_CONSTANT
        return self.gain * torch.cat([simple.relu(), energy.sqrt()], dim=1)


def forward(block: nn.Module, images: Tensor) -> Callable[[], object]:
    """The responses, without gradients."""

    def run() -> None:
        with torch.no_grad():
            block(images)

    return run


def both(block: nn.Module, images: Tensor, gradient: Tensor) -> Callable[[], object]:
    """Forward, and backward to the images."""

    def run() -> None:
        x = images.detach().requires_grad_()
        y = block(x)
        torch.autograd.grad(y, x, gradient.repeat(len(y) // len(gradient), 1, 1, 1))

    return run


def measure(
    case: str, name: str, size: int, stride: int, cells: int, batch: int, device: torch.device, repeats: int
) -> list[Row]:
    """How many times faster than the plain convolution, and what ten draws cost over one."""
    network = architectures.build(name, num_classes=10, image_size=size)
    options = FrontendOptions(simple_channels=cells, complex_channels=cells)
    frontends.install(network, architectures.get(name), "vone", image_size=size, seed=0, options=options)
    block = next(m for m in network.modules() if isinstance(m, V1Block)).to(device)
    # A stem's stride includes its pooling: the case must measure what its name says.
    assert {axis[0] for axis in block.geometry} == {stride}, block.geometry
    plain = PlainBlock(block)
    images = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    # Equal outputs, the noise apart.
    with torch.no_grad():
        ours, theirs = block.respond(images), plain(images)
    gap = float((ours - theirs).abs().max() / theirs.abs().max())
    assert gap < 1e-4, gap
    gradient = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1)).to(device)
    noise, block.noise = block.noise, None
    one_way = ratio(forward(plain, images), forward(block, images), device, repeats, warm_up=2)
    both_ways = ratio(
        both(plain, images, gradient), both(block, images, gradient), device, repeats, warm_up=2
    )
    block.noise = noise
    one = both(block, images, gradient)

    def ten() -> None:
        with frontends.draws(network, 10):
            one()

    peer = "a plain convolution"
    return [
        Row("V1 block, forward", case, peer, one_way, "≥ 4"),
        Row("V1 block, forward + backward", case, peer, both_ways, "≥ 6"),
        Row("one draw of its noise", case, "ten", ratio(ten, one, device, repeats, warm_up=2), "≤ 2"),
    ]


def main() -> None:
    """Run all cases, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    keep_freed_memory()  # as every stage does
    device, rows = torch.device(arguments.device), []
    for name, case in CASES.items():
        rows += measure(name, *case, device, arguments.repeats)
        print(*rows[-3:], sep="\n", flush=True)
    write_record("frontend_speed", device, rows, threads=torch.get_num_threads())


if __name__ == "__main__":
    main()
