"""Taps stop where they should, leave nothing behind, and know how deep a stage is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robustness.errors import UserError
from robustness.probes.layers import Tap, features, probing, relative_depths, stage_paths


def hooks_of(model: nn.Module) -> int:
    return sum(
        len(getattr(module, name))
        for module in model.modules()
        for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    )


def test_a_tap_gives_what_the_layer_gives_and_stops_there(small_net: nn.Module, batch) -> None:
    images, _ = batch
    small_net.head.forward = None  # would raise if it were called
    with Tap(small_net, {"stem": "relu1", "middle": "relu2"}) as tap, torch.no_grad():
        caught = tap(images)
    expected = small_net.relu1(small_net.conv1(images))
    assert torch.equal(caught["stem"], expected)
    assert torch.equal(caught["middle"], small_net.relu2(small_net.norm2(small_net.conv2(expected))))


def test_a_tap_reads_inputs_and_the_networks_output(small_net: nn.Module, batch) -> None:
    images, _ = batch
    with Tap(small_net, {"before": "relu1", "logits": ""}, inputs=("before",)) as tap, torch.no_grad():
        caught = tap(images)
    assert torch.equal(caught["before"], small_net.conv1(images))
    assert torch.equal(caught["logits"], small_net(images))


def test_hooks_are_gone_after_an_exception(small_net: nn.Module) -> None:
    with pytest.raises(RuntimeError), Tap(small_net, {"a": "relu2"}) as tap:
        tap(torch.zeros(1, 5, 16, 16))  # a wrong number of channels
    assert hooks_of(small_net) == 0


def test_probing_restores_modes_gradients_and_in_place(small_net: nn.Module) -> None:
    small_net.train()
    small_net.conv1.weight.requires_grad_(False)
    small_net.norm2.eval()
    with pytest.raises(ValueError, match="inside"), probing(small_net, seed=0):  # noqa: PT012
        assert not small_net.training
        assert not any(parameter.requires_grad for parameter in small_net.parameters())
        assert not small_net.relu2.inplace
        raise ValueError("inside")
    assert small_net.training
    assert not small_net.norm2.training
    assert small_net.relu2.inplace
    assert not small_net.conv1.weight.requires_grad
    assert small_net.conv2.weight.requires_grad


def test_features_do_not_depend_on_the_batch_size(small_net: nn.Module, batch) -> None:
    images, _ = batch
    one = features(small_net, {"penultimate": "flatten"}, images, batch=5)["penultimate"]
    two = features(small_net, {"penultimate": "flatten"}, images, batch=24)["penultimate"]
    torch.testing.assert_close(one, two)


def test_depth_is_the_share_of_weight_layers(small_net: nn.Module, batch) -> None:
    images, _ = batch
    depths = relative_depths(small_net, {**small_net.stages, "logits": ""}, images[:1])
    assert depths == {"stem": 1 / 3, "middle": 2 / 3, "penultimate": 2 / 3, "logits": 1.0}


def test_unknown_stages_and_modules_name_what_exists(small_net: nn.Module) -> None:
    with pytest.raises(UserError, match=r"no stage 'midle'; did you mean middle\? \(all: stem, middle"):
        stage_paths(small_net, ["midle"])
    with pytest.raises(UserError, match=r"no module 'relu3'; did you mean relu"):
        Tap(small_net, {"x": "relu3"})


def test_a_layer_off_the_way_is_refused(small_net: nn.Module, batch) -> None:
    images, _ = batch
    small_net.spare = nn.Linear(2, 2)
    with pytest.raises(UserError, match="spare was not reached"), Tap(small_net, {"spare": "spare"}) as tap:
        tap(images)


def test_stages_come_in_their_order(small_net: nn.Module) -> None:
    small_net.stages = {"penultimate": "flatten", "stem": "relu1", "extra": "pool"}
    assert list(stage_paths(small_net)) == ["stem", "penultimate", "extra"]


class Pair(nn.Module):
    """Nothing but a module that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.linear(x))


def test_a_network_without_stages_has_none() -> None:
    assert stage_paths(Pair()) == {}
