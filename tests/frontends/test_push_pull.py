"""Push-pull inhibition against its definition, worked out by hand."""

from __future__ import annotations

import pytest
import torch
from frontend_tools import TinyNet, images
from torch import nn
from torch.nn import functional

from robustness import architectures, frontends
from robustness.errors import UserError
from robustness.frontends.push_pull import PushPull


def convolution(side: int, stride: int = 1, padding: int | None = None) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(3, 4, side, stride=stride, padding=side // 2 if padding is None else padding)


@pytest.mark.parametrize(("side", "stride", "padding"), [(3, 1, 1), (7, 2, 3), (11, 4, 2), (4, 4, 0)])
def test_equal_kernels_are_the_plain_convolution(side: int, stride: int, padding: int) -> None:
    """At h = 1 and α = 1, relu(z) − relu(−z) = z."""
    conv, image = convolution(side, stride, padding), images(2)
    if side % 2:
        plain = functional.conv2d(image, conv.weight, None, stride, padding)
        assert torch.allclose(PushPull(conv, scale=1.0)(image), plain, atol=1e-5)
    assert PushPull(conv)(image).shape == conv(image).shape


@pytest.mark.parametrize(("side", "scale", "pull"), [(3, 2.0, 7), (5, 2.0, 11), (7, 2.0, 15), (3, 1.5, 5)])
def test_the_pull_kernel_has_the_published_side(side: int, scale: float, pull: int) -> None:
    assert PushPull(convolution(side), scale=scale)._pull_kernel().shape == (4, 3, pull, pull)


def test_a_preferred_pattern_pushes_and_its_negative_pulls() -> None:
    """One filter with a single weight of 1 in the centre: its pull kernel is a pyramid of seven pixels."""
    conv = nn.Conv2d(1, 1, 3, padding=1)
    with torch.no_grad():
        conv.weight.zero_()[0, 0, 1, 1] = 1
    light = torch.ones(1, 1, 9, 9)
    ramp = torch.tensor([0, 1 / 3, 2 / 3, 1, 2 / 3, 1 / 3, 0])
    assert torch.allclose(PushPull(conv)._pull_kernel()[0, 0], torch.outer(ramp, ramp), atol=1e-6)
    assert PushPull(conv)(light)[0, 0, 4, 4].item() == pytest.approx(1)
    assert PushPull(conv)(-light)[0, 0, 4, 4].item() == pytest.approx(-9)
    assert PushPull(conv, inhibition=0.5)(-light)[0, 0, 4, 4].item() == pytest.approx(-4.5)
    # Both kernels have their centres at the same pixel: a dark dot pulls where it lies.
    dot = torch.zeros(1, 1, 9, 9)
    dot[0, 0, 2, 6] = -1
    response = PushPull(conv)(dot)[0, 0]
    assert response.argmin().item() == 2 * 9 + 6
    assert response[2, 6].item() == pytest.approx(-1)


def test_the_filters_are_trained_through_both_terms() -> None:
    conv, image = convolution(3), images(2).double()
    module = PushPull(conv).double()
    module(image).square().sum().backward()
    step = 1e-6 * module.weight.grad / module.weight.grad.norm()
    with torch.no_grad():
        module.weight.add_(step)
        above = module(image).square().sum()
        module.weight.sub_(2 * step)
        below = module(image).square().sum()
    assert (above - below).item() / 2e-6 == pytest.approx(module.weight.grad.norm().item(), rel=1e-4)


@pytest.mark.parametrize("name", ["vgg11", "googlenet", "nasnet_a_mobile", "shufflenet_v1"])
def test_it_keeps_the_stems_size_and_initial_weights(name: str) -> None:
    architecture = architectures.get(name)
    network = architectures.build(name, num_classes=4, image_size=64, width=0.5).eval()
    stem = network.get_submodule(architecture.stem.modules[0])
    conv = next(part for part in stem.modules() if isinstance(part, nn.Conv2d))
    size = network(images(1, 64)).shape, stem(images(1, 64)).shape
    frontends.install(network, architecture, "push_pull", image_size=64, seed=0)
    stem = network.get_submodule(architecture.stem.modules[0])
    module = next(part for part in stem.modules() if isinstance(part, PushPull))
    assert torch.equal(module.weight, conv.weight)
    assert (network(images(1, 64)).shape, stem(images(1, 64)).shape) == size


def test_a_stem_without_a_plain_convolution_is_refused() -> None:
    network = architectures.build("neocognitron", num_classes=4, image_size=64)
    with pytest.raises(UserError, match="stem of neocognitron does not begin with a convolution"):
        frontends.install(network, architectures.get("neocognitron"), "push_pull", image_size=64, seed=0)
    tiny = TinyNet()
    tiny.conv = nn.Conv2d(3, 6, 7, stride=2, padding=6, dilation=2)
    with pytest.raises(UserError, match="dilation"):
        frontends.install(tiny, TinyNet.architecture, "push_pull", image_size=32, seed=0)
