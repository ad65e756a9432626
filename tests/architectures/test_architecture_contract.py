"""What every architecture promises: stages, an exchangeable stem, gradients, modules that hooks can see."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from robustness import architectures
from robustness.architectures import Architecture
from robustness.errors import UserError

NAMES = architectures.names()
# One of each family, for what its other members share.
REPRESENTATIVES = (
    "neocognitron", "lenet5", "alexnet", "zfnet", "googlenet", "vgg11_lrn", "resnet18", "plain18",
    "resnext50_32x4d", "seresnet50", "mobilenet_v1", "shufflenet_v1", "nasnet_a_mobile", "amoebanet_a_mobile",
    "efficientnet_b0",
)  # fmt: skip


def shallow(name: str) -> dict[str, object]:
    """The options that make the shallowest form, which keeps every kind of layer."""
    return {
        key: value
        for key, value in {"cells": 1, "depth": 0.1}.items()
        if key in architectures.get(name).options
    }


@functools.cache
def _compact(name: str, image_size: int) -> nn.Module:
    torch.manual_seed(0)
    build = architectures.build
    return build(name, num_classes=7, image_size=image_size, width=0.125, **shallow(name)).eval()


def compact(name: str, image_size: int = 64) -> nn.Module:
    """A narrow, shallow form with fixed weights, in eval mode; the caller may change it."""
    return copy.deepcopy(_compact(name, image_size))


def image_batch(size: int, channels: int = 3) -> Tensor:
    """Two images with bright discs on a dark ground, normalised: (2, channels, size, size)."""
    places = torch.linspace(-1, 1, size)
    images = torch.stack(
        [(places[:, None] ** 2 + (places[None, :] - shift) ** 2 < 0.4).float() for shift in (0.0, 0.3)]
    )
    noise = torch.rand(2, channels, size, size, generator=torch.Generator().manual_seed(1))
    return 2 * images[:, None] - 1 + 0.5 * noise


class Trace:
    """The inputs and outputs of named modules during a forward pass."""

    def __init__(self, network: nn.Module, paths: tuple[str, ...]) -> None:
        self.calls: list[tuple[str, tuple, object]] = []
        for path in paths:
            network.get_submodule(path).register_forward_hook(self._note(path))

    def _note(self, path: str) -> Callable:
        return lambda module, inputs, output: self.calls.append((path, inputs, output))


@pytest.mark.parametrize("name", NAMES)
def test_stages_are_called_once_in_order_and_give_tensors(name: str) -> None:
    entry = architectures.get(name)
    network = compact(name)
    trace = Trace(network, tuple(entry.stages.values()))
    logits = network(image_batch(64))
    assert [path for path, _, _ in trace.calls] == list(entry.stages.values())
    outputs = [output for _, _, output in trace.calls]
    assert all(isinstance(output, Tensor) and len(output) == 2 for output in outputs)
    assert [output.ndim for output in outputs[:3]] == [4, 4, 4]
    sides = [output.shape[2] for output in outputs[:3]]
    assert sides == sorted(sides, reverse=True)
    assert logits.shape == (2, 7)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", NAMES)
def test_penultimate_is_what_the_last_layer_reads(name: str) -> None:
    network = compact(name)
    trace = Trace(network, (architectures.get(name).stages["penultimate"],))
    read = []
    last = [part for part in network.modules() if isinstance(part, nn.Linear) or hasattr(part, "codes")][-1]
    last.register_forward_hook(lambda module, inputs, output: read.append(inputs[0]))
    network(image_batch(64))
    ((_, _, output),) = trace.calls
    assert torch.equal(output.flatten(1), read[0])


@pytest.mark.parametrize("name", NAMES)
def test_stem_is_a_chain_from_the_image_and_can_be_replaced(name: str) -> None:
    entry = architectures.get(name)
    network = compact(name)
    images = image_batch(64)
    trace = Trace(network, entry.stem.modules)
    before = network(images)
    assert [path for path, _, _ in trace.calls] == list(entry.stem.modules)
    assert torch.equal(trace.calls[0][1][0], images)
    for (_, _, output), (_, inputs, _) in zip(trace.calls, trace.calls[1:], strict=False):
        assert inputs[0] is output
    stem_output = trace.calls[-1][2]

    seen = []

    class FrontEnd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x)
            return stem_output.detach()

    for path, module in zip(entry.stem.modules, [FrontEnd(), *[nn.Identity()] * 9], strict=False):
        parent, _, child = path.rpartition(".")
        setattr(network.get_submodule(parent), child, module)
    after = network(images)
    assert len(seen) == 1
    assert seen[0] is images
    assert torch.allclose(after, before, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_stem_has_the_stride_and_channels_of_its_entry(name: str) -> None:
    entry = architectures.get(name)
    with torch.device("meta"):
        network = architectures.build(name, num_classes=10, image_size=64)
        x = torch.zeros(1, 3, 64, 64)
        for path in entry.stem.modules:
            x = network.get_submodule(path)(x)
    assert x.shape[1] == entry.stem.channels
    # Borders cost up to a window: 11x11 at stride 4 for AlexNet, 5x5 at stride 1 for LeNet-5.
    assert 64 / entry.stem.stride - 4 <= x.shape[2] <= 64 / entry.stem.stride


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_the_image(name: str) -> None:
    network = compact(name)
    x = image_batch(64).requires_grad_()
    (gradient,) = torch.autograd.grad(network(x)[:, 3].sum(), x)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().amax(dim=(1, 2, 3)).gt(0).all()


@pytest.mark.parametrize("name", NAMES)
def test_non_linearities_are_modules_and_not_in_place(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = compact(name)
    kinds = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Sigmoid, nn.Tanh)
    activations = [part for part in network.modules() if isinstance(part, kinds)]
    assert not [part for part in network.modules() if getattr(part, "inplace", False)]
    inside = []

    def leave(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        inside.pop()

    for part in activations:
        part.register_forward_pre_hook(lambda module, inputs: inside.append(module))
        part.register_forward_hook(leave)
    outside = []

    def watch(holder: object, function: str) -> None:
        original = getattr(holder, function)

        def watched(*args: object, **kwargs: object) -> object:
            if not inside:
                outside.append(function)
            return original(*args, **kwargs)

        monkeypatch.setattr(holder, function, watched)

    for function in ("relu", "relu_", "relu6", "silu", "hardtanh", "threshold"):
        watch(nn.functional, function)
    for holder in (torch, Tensor):
        for function in ("relu", "relu_", "clamp_min", "clamp"):
            watch(holder, function)
    network(image_batch(64))
    assert outside == []


@pytest.mark.parametrize("name", NAMES)
def test_image_sizes(name: str) -> None:
    entry = architectures.get(name)
    smallest = entry.smallest
    for size in sorted({smallest, 32, 224 if name in REPRESENTATIVES else 64}):
        if size < smallest:
            with pytest.raises(UserError, match=f"image_size is {size}; allowed .* from {smallest} up"):
                compact(name, size)
            continue
        with torch.no_grad():
            assert compact(name, size)(image_batch(size)).shape == (2, 7)


@pytest.mark.parametrize("name", ["alexnet", "zfnet"])
def test_smallest_is_where_the_strides_end(name: str) -> None:
    entry: Architecture = architectures.get(name)
    x = torch.zeros(1, 3, entry.smallest - 1, entry.smallest - 1)
    with pytest.raises(RuntimeError):
        compact(name)(x)


@pytest.mark.parametrize("width", [1 / 16, 0.3, 1.5])
@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_width_scales_every_family(name: str, width: float) -> None:
    with torch.device("meta"):
        published, scaled = (
            architectures.build(name, num_classes=10, image_size=64, width=w, **shallow(name))
            for w in (1.0, width)
        )
        logits = scaled(torch.zeros(2, 3, 64, 64))
    assert logits.shape == (2, 10)
    ratio = sum(p.numel() for p in scaled.parameters()) / sum(p.numel() for p in published.parameters())
    assert (ratio < 1) == (width < 1)


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_one_gray_channel_is_allowed(name: str) -> None:
    network = architectures.build(
        name, num_classes=3, in_channels=1, image_size=64, width=0.125, **shallow(name)
    ).eval()
    assert network(image_batch(64, channels=1)).shape == (2, 3)


OPTIONS = [
    (name, key, value)
    for name in REPRESENTATIVES
    for key, option in architectures.get(name).options.items()
    for value in (option.choices or (option.low, option.high))
    if (name, key, value) != ("googlenet", "auxiliary", True) and value != "bitmaps"
]


@pytest.mark.parametrize(("name", "key", "value"), OPTIONS, ids=str)
def test_every_option_trains(name: str, key: str, value: object) -> None:
    settings = {**shallow(name), key: value}
    network = architectures.build(name, num_classes=7, image_size=64, width=0.125, **settings).train()
    loss = nn.functional.cross_entropy(network(image_batch(64)), torch.tensor([0, 1]))
    loss.backward()
    gradients = [p.grad for p in network.parameters() if p.requires_grad]
    assert any(g is not None and g.abs().max() > 0 for g in gradients)


def test_depth_and_cells_make_a_network_deeper() -> None:
    def blocks(name: str, **options: object) -> int:
        with torch.device("meta"):
            network = architectures.build(name, num_classes=10, image_size=64, **options)
        return sum(isinstance(part, nn.Conv2d) for part in network.modules())

    assert (
        blocks("efficientnet_b0", depth=0.5)
        < blocks("efficientnet_b0")
        < blocks("efficientnet_b0", depth=2.0)
    )
    assert blocks("mobilenet_v1", depth=0.5) < blocks("mobilenet_v1")
    assert blocks("amoebanet_a_mobile", cells=1) < blocks("amoebanet_a_mobile")


SMALL = [name for name in architectures.names() if "small_stem" in architectures.get(name).options]


@pytest.mark.parametrize("name", SMALL)
def test_small_stem_keeps_the_size_of_small_images(name: str) -> None:
    """First convolution 3×3 at stride 1 and no pooling: the stem's map is as large as the image."""
    entry = architectures.get(name).as_built({"small_stem": True})
    assert entry.stem.stride == 1
    width = 0.25 if "resnext" in name else 0.125
    network = architectures.build(name, num_classes=10, image_size=32, width=width, small_stem=True).eval()
    kernels = [m.kernel_size for m in network.get_submodule(entry.stem.modules[0]).modules()
               if isinstance(m, nn.Conv2d)]  # fmt: skip
    assert kernels == [(3, 3)]
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        stem = x
        for path in entry.stem.modules:
            stem = network.get_submodule(path)(stem)
        assert stem.shape[-2:] == (32, 32)
        assert network(x).shape == (2, 10)


def test_every_family_has_a_network_for_images_of_32_pixels() -> None:
    """With small_stem, or as it is: LeNet-5, the Neocognitron, VGG and the base line divide such images by no
    more."""
    families = {architectures.get(name).family for name in architectures.names()}
    assert families - {architectures.get(name).family for name in SMALL} == {
        "Linear", "Neocognitron", "LeNet-5", "VGG"
    }  # fmt: skip
