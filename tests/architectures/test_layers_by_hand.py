"""Layers against calculations made another way: loops, lists, formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from robustness import architectures
from robustness.architectures import lenet
from robustness.architectures.blocks.response_normalisation import LocalResponseNorm
from robustness.architectures.shufflenet import ChannelShuffle


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_local_response_normalisation(beta: float) -> None:
    x = 30 * draw(2, 9, 3, 4)
    found = LocalResponseNorm(size=5, alpha=1e-4, beta=beta, k=2.0)(x).numpy()
    values = x.numpy()
    for channel in range(9):
        # Krizhevsky 2012, section 3.3, n = 5: from channel i - 2 to i + 2, cut at the ends.
        around = values[:, max(0, channel - 2) : min(8, channel + 2) + 1]
        expected = values[:, channel] / (2.0 + 1e-4 * (around**2).sum(axis=1)) ** beta
        assert np.allclose(found[:, channel], expected, rtol=1e-12)


def test_local_response_normalisation_has_the_papers_constants_in_alexnet() -> None:
    with torch.device("meta"):
        network = architectures.build("alexnet", num_classes=10, image_size=64)
    layers = [part for part in network.modules() if isinstance(part, LocalResponseNorm)]
    assert [(part.size, part.alpha, part.beta, part.k) for part in layers] == [(5, 1e-4, 0.75, 2.0)] * 2


@pytest.mark.parametrize("groups", [2, 3, 4, 8])
def test_channel_shuffle(groups: int) -> None:
    x = draw(2, 24, 3, 2)
    found = ChannelShuffle(groups)(x)
    per_group = 24 // groups
    for group in range(groups):
        for place in range(per_group):
            assert torch.equal(found[:, place * groups + group], x[:, group * per_group + place])


def test_alexnets_towers_do_not_see_each_other() -> None:
    network = architectures.build("alexnet", num_classes=10, image_size=64, width=0.25)
    for name in ("conv2", "conv4", "conv5"):
        conv = network.get_submodule(name)
        x = torch.randn(2, conv.in_channels, 6, 6)
        inputs, outputs = conv.in_channels // 2, conv.out_channels // 2
        towers = []
        for tower in range(2):
            own = slice(tower * outputs, (tower + 1) * outputs)
            seen = x[:, tower * inputs : (tower + 1) * inputs]
            towers.append(nn.functional.conv2d(seen, conv.weight[own], conv.bias[own], padding=conv.padding))
        assert torch.allclose(conv(x), torch.cat(towers, dim=1), atol=1e-5)
    assert network.conv3.groups == network.conv1.groups == 1


def test_resnexts_groups() -> None:
    torch.manual_seed(0)
    network = architectures.build("resnext50_32x4d", num_classes=10, image_size=64, width=0.5)
    conv = network.layer1[1].conv2
    assert conv.groups == 32
    x = torch.randn(1, conv.in_channels, 4, 4)
    per_group = conv.in_channels // 32
    for group in (0, 7, 31):
        own = slice(group * per_group, (group + 1) * per_group)
        expected = nn.functional.conv2d(x[:, own], conv.weight[own], padding=1)
        assert torch.allclose(conv(x)[:, own], expected, atol=1e-6)


# Table I of LeCun 1998 by columns: a row for each map of S2, an X where the map of C3 reads it.
TABLE_I = """
X...XXX..XXXX.XX
XX...XXX..XXXX.X
XXX...XXX..X.XXX
.XXX..XXXX..X.XX
..XXX..XXXX.XX.X
...XXX..XXXX.XXX
"""


def test_lenets_connection_table() -> None:
    expected = torch.tensor([[mark == "X" for mark in row] for row in TABLE_I.split()]).T
    assert expected.sum() == 60
    assert torch.equal(lenet.connection_table(6, 16), expected)


def test_lenets_c3_computes_what_the_table_says() -> None:
    torch.manual_seed(0)
    network = architectures.build("lenet5", num_classes=10, in_channels=1, image_size=32)
    x = torch.randn(2, 6, 14, 14)
    found = network.c3(x)
    used = 0
    for out in range(16):
        expected = torch.full((2, 10, 10), network.c3.bias[out].item())
        for source, row in enumerate(TABLE_I.split()):
            if row[out] == "X":
                # Weights are kept by map of C3, and for each by map of S2.
                window = network.c3.weight[used][None, None]
                expected = expected + nn.functional.conv2d(x[:, source : source + 1], window)[:, 0]
                used += 1
        assert torch.allclose(found[:, out], expected, atol=1e-5)
    assert used == 60


def test_lenets_subsampling_adds_four_and_scales() -> None:
    torch.manual_seed(0)
    network = architectures.build("lenet5", num_classes=10, in_channels=1, image_size=32)
    x = torch.randn(1, 6, 4, 4)
    found = network.s2(x).detach()
    for channel in range(6):
        for row in range(2):
            for column in range(2):
                four = x[0, channel, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].sum()
                expected = four * network.s2.coefficient[channel] + network.s2.bias[channel]
                assert found[0, channel, row, column].item() == pytest.approx(expected.item(), abs=1e-5)


def test_lenets_squashing_function() -> None:
    squash = lenet.Squash()
    assert squash(torch.tensor([1.0, -1.0, 0.0])) == pytest.approx([1, -1, 0], abs=1e-4)
    assert squash(torch.tensor(100.0)).item() == pytest.approx(1.7159)


def test_lenets_codes_are_bitmaps_of_plus_and_minus_one() -> None:
    codes = lenet.output_codes(10, "bitmaps")
    assert codes.shape == (10, 84)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    assert len({tuple(code) for code in codes.tolist()}) == 10
    one, eight = codes.view(10, 12, 7)[1], codes.view(10, 12, 7)[8]
    assert (one[:, 3] > 0).sum() > (one[:, 0] > 0).sum()
    assert torch.equal(eight, eight.flip(1))


def test_lenets_random_codes_are_fair_and_always_the_same() -> None:
    codes = lenet.output_codes(1000, "random")
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    assert abs(codes.mean().item()) < 0.02
    assert torch.equal(codes, lenet.output_codes(1000, "random"))
    assert torch.equal(codes[:20], lenet.output_codes(20, "random"))


def test_lenets_logits_are_minus_squared_distances() -> None:
    torch.manual_seed(0)
    network = architectures.build("lenet5", num_classes=10, in_channels=1, image_size=32)
    x = torch.randn(3, 84)
    found = network.output(x)
    for sample in range(3):
        for label in range(10):
            gaps = [(x[sample, i] - network.output.codes[label, i]).item() ** 2 for i in range(84)]
            assert found[sample, label].item() == pytest.approx(-sum(gaps), rel=1e-5)
    assert (network(torch.randn(2, 1, 32, 32)) <= 0).all()
    assert not network.output.codes.requires_grad


def gate(module: nn.Module, x: torch.Tensor) -> np.ndarray:
    """x times its squeeze-and-excitation gate, in NumPy."""
    w1, b1 = (module.fc1.weight.detach().numpy()[:, :, 0, 0], module.fc1.bias.detach().numpy())
    w2, b2 = (module.fc2.weight.detach().numpy()[:, :, 0, 0], module.fc2.bias.detach().numpy())
    squeezed = x.numpy().mean(axis=(2, 3))
    hidden = np.maximum(squeezed @ w1.T + b1, 0)
    return x.numpy() / (1 + np.exp(-(hidden @ w2.T + b2)))[:, :, None, None]


@pytest.mark.parametrize("name", ["seresnet50", "resnet18", "resnext50_32x4d"])
def test_se_gate_scales_the_residual_before_the_addition(name: str) -> None:
    torch.manual_seed(0)
    network = architectures.build(name, num_classes=10, image_size=64, width=0.5, se=True).eval()
    block = network.layer2[1]
    seen = {}
    block.se.register_forward_hook(
        lambda module, inputs, output: seen.update(x=inputs[0].clone(), y=output.clone())
    )
    x = torch.randn(2, block.conv1.in_channels, 5, 5).relu()
    with torch.no_grad():
        out = block(x)
    expected = gate(block.se, seen["x"])
    assert np.abs(expected - seen["x"].numpy()).max() > 0.05
    assert np.allclose(seen["y"].numpy(), expected, atol=1e-5)
    assert np.allclose(out.numpy(), np.maximum(expected + x.numpy(), 0), atol=1e-5)


def test_se_gate_of_a_mobilenet_follows_each_block() -> None:
    torch.manual_seed(0)
    options = {"num_classes": 10, "image_size": 64, "width": 0.5}
    plain = architectures.build("mobilenet_v1", **options).eval()
    gated = architectures.build("mobilenet_v1", se=True, **options).eval()
    block, module = gated.blocks[1][0]
    assert sum(len(stage) for stage in gated.blocks) == sum(len(stage) for stage in plain.blocks) == 13
    block.load_state_dict(plain.blocks[1][0].state_dict())
    x = torch.randn(2, block.conv_dw.in_channels, 6, 6)
    with torch.no_grad():
        assert np.allclose(gated.blocks[1][0](x).numpy(), gate(module, plain.blocks[1][0](x)), atol=1e-5)
