"""Networks that timm or torchvision has too give the same outputs with the same weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robustness import architectures
from robustness.architectures import nasnet
from robustness.architectures.blocks import cell_network
from robustness.architectures.blocks.cells import SamePool
from robustness.architectures.resnet import _plain_block


def images(size: int, number: int = 2) -> Tensor:
    return torch.randn(number, 3, size, size, generator=torch.Generator().manual_seed(3))


def randomise_statistics(network: nn.Module) -> None:
    """Batch norms with statistics and gains that differ, so that a missing or misplaced one shows."""
    generator = torch.Generator().manual_seed(4)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(std=0.1, generator=generator)
            part.running_var.uniform_(0.5, 1.5, generator=generator)
            part.weight.data.uniform_(0.5, 1.5, generator=generator)
            part.bias.data.normal_(std=0.1, generator=generator)


TIMM = {
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "resnext50_32x4d": "resnext50_32x4d",
    "seresnet18": "seresnet18",
    "seresnet50": "seresnet50",
    "mobilenet_v1": "mobilenetv1_100",
    "efficientnet_b0": "efficientnet_b0",
    "efficientnet_b1": "efficientnet_b1",
}


@pytest.mark.parametrize("name", TIMM)
def test_same_function_as_timm(name: str) -> None:
    import timm

    torch.manual_seed(0)
    theirs = timm.create_model(TIMM[name], num_classes=10).eval()
    randomise_statistics(theirs)
    ours = architectures.build(name, num_classes=10, image_size=64).eval()
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        expected, found = theirs(images(64)), ours(images(64))
    assert expected.std() > 1e-3
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())


def test_resnet50_is_torchvisions_too() -> None:
    import torchvision

    torch.manual_seed(0)
    theirs = torchvision.models.resnet50(num_classes=10).eval()
    randomise_statistics(theirs)
    ours = architectures.build("resnet50", num_classes=10, image_size=64).eval()
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        expected = theirs(images(64))
        assert torch.allclose(ours(images(64)), expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())


def test_vgg11_is_torchvisions_at_224_pixels() -> None:
    import torchvision

    with torch.device("meta"):
        theirs = torchvision.models.vgg11(num_classes=10, init_weights=False).eval()
        ours = architectures.build("vgg11", num_classes=10, image_size=224).eval()
    generator = torch.Generator().manual_seed(5)
    weights = {
        key: torch.empty(value.shape).uniform_(-0.03, 0.03, generator=generator)
        for key, value in theirs.state_dict().items()
    }
    for network in (theirs, ours):
        network.load_state_dict(weights, assign=True)
    with torch.no_grad():
        expected = theirs(images(224, 1))
        assert torch.allclose(
            ours(images(224, 1)), expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item()
        )


@pytest.mark.parametrize("name", ["vgg13", "vgg16", "vgg19"])
def test_maps_of_the_other_columns_are_torchvisions(name: str) -> None:
    import torchvision

    torch.manual_seed(0)
    ours = architectures.build(name, num_classes=10, image_size=32, initialisation="he").eval().features
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name, init_weights=False).eval().features
    theirs.load_state_dict(ours.state_dict(), assign=True)
    with torch.no_grad():
        expected = theirs(images(32))
        assert expected.std() > 1e-3
        assert torch.allclose(ours(images(32)), expected, rtol=1e-5, atol=1e-6)


def large_to_ours(large: nn.Module) -> dict[str, Tensor]:
    """timm's NASNet-A large weights under the names of our network of cells."""
    cells = [("cell_stem_0", "stem_cell0"), ("cell_stem_1", "stem_cell1")]
    cells += [(f"cell_{6 * stack + i}", f"stack{stack}.{i}") for stack in range(3) for i in range(6)]
    cells += [("reduction_cell_0", "reduction1"), ("reduction_cell_1", "reduction2")]
    separable = {"separable_1.depthwise_conv2d": "depthwise1", "separable_1.pointwise_conv2d": "pointwise1"}
    separable |= {"separable_2.depthwise_conv2d": "depthwise2", "separable_2.pointwise_conv2d": "pointwise2"}
    separable |= {"bn_sep_1": "bn1", "bn_sep_2": "bn2"}
    adapt = {"path_1.conv": "conv1", "path_2.conv": "conv2", "final_path_bn": "bn"}
    state = {}
    for key, value in large.state_dict().items():
        for old, new in cells:
            if not key.startswith(f"{old}."):
                continue
            rest = key[len(old) + 1 :]
            if rest.startswith("comb_iter_"):
                index, side, tail = rest[10], rest[12:].split(".")[0], rest.split(".", 1)[1]
                place = 2 * int(index) + (side == "right")
                for long, short in separable.items():
                    tail = tail.replace(f"{long}.", f"{short}.")
                rest = f"operations.{place}.{tail}"
            elif rest.startswith("conv_prev_1x1."):
                rest = rest.replace("conv_prev_1x1.", "adapt.")
            elif rest.startswith("conv_1x1."):
                rest = rest.replace("conv_1x1.", "squeeze.")
            else:
                for long, short in adapt.items():
                    rest = rest.replace(f"{long}.", f"adapt.{short}.")
            key = f"{new}.{rest}"
        state[key] = value
    return state


@pytest.mark.parametrize("size", [64, 75])
def test_network_of_cells_is_timms_nasnet_large(size: int) -> None:
    torch.manual_seed(0)
    large = architectures.build("nasnet_a_large", num_classes=10, image_size=64, width=1 / 8).eval()
    randomise_statistics(large)
    for path, part in list(large.named_modules()):
        if type(part).__name__ == "AvgPool2dSame":
            # At stride 2 timm averages the zeros of the border in; the authors and we leave them out.
            parent, _, child = path.rpartition(".")
            setattr(large.get_submodule(parent), child, SamePool("avg", 2))
    ours = cell_network.CellNetwork(
        nasnet.NASNET_A,
        num_classes=10,
        in_channels=3,
        width=1.0,
        cells=6,
        filters=24,
        stem_channels=16,
        skip_reduction=True,
        dropout=0.0,
        drop_path=0.0,
    ).eval()
    ours.load_state_dict(large_to_ours(large))
    with torch.no_grad():
        expected, found = large(images(size)), ours(images(size))
    assert expected.std() > 1e-3
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())


def test_plain_block_adds_nothing() -> None:
    torch.manual_seed(0)
    block = _plain_block()(8, 8).eval()
    randomise_statistics(block)
    x = torch.randn(2, 8, 5, 5)
    inner = torch.relu(block.bn1(nn.functional.conv2d(x, block.conv1.weight, padding=1)))
    expected = torch.relu(block.bn2(nn.functional.conv2d(inner, block.conv2.weight, padding=1)))
    assert torch.allclose(block(x), expected, atol=1e-6)


def test_plain34_is_resnet34_without_its_skips() -> None:
    with torch.device("meta"):
        plain, residual = (
            architectures.build(name, num_classes=10, image_size=64).state_dict()
            for name in ("plain34", "resnet34")
        )
    assert set(residual) - set(plain) == {key for key in residual if "downsample" in key}
    assert all(plain[key].shape == residual[key].shape for key in plain)
