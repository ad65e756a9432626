"""What every probe promises: a tidy table, finite where it should be, arrays, and a model left as it was."""

from __future__ import annotations

import inspect
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from robustness import probes
from robustness.errors import UserError
from robustness.probes.layers import LOGITS
from tests.probes.conftest import SmallNet, four_classes

FEW = {
    "filters": {},
    "tuning": {},
    "embedding": {"iterations": (5, 10), "tsne_seeds": 2, "neighbours": 3},
    "activations": {"units": 2, "top": 3},
    "occlusion": {"count": 1, "side": 0.4, "step": 0.3, "groups": 1},
    "saliency": {"count": 1, "steps": 4},
    "similarity": {},
    "ascent": {"stages": ["middle"], "units": 1, "logits": 1, "starts": 2, "iterations": 2, "facets": 2,
               "regularisers": ["none", "blur"]},
    "inversion": {"stages": ["middle"], "count": 1, "starts": 2, "iterations": (2, 1)},
}  # fmt: skip
"""Settings with which a probe of the small network takes a moment."""


@cache
def looked(name: str) -> tuple[probes.ProbeResult, nn.Module]:
    """The result of a probe, and the network that it looked into, in training mode before."""
    torch.manual_seed(3)
    network = SmallNet().train()
    return probes.run(name, network, *four_classes(), seed=1, **FEW[name]), network


@pytest.mark.parametrize("name", probes.names())
def test_the_table_is_tidy(name: str) -> None:
    table = looked(name)[0].table
    assert list(table.columns) == probes.COLUMNS
    assert len(table)
    assert (table["probe"] == name).all()
    assert not table.duplicated(["layer", "unit", "metric"]).any()
    assert set(table["layer"]) <= {"stem", "middle", "penultimate", LOGITS}
    assert table["depth"].between(0, 1).all()
    assert np.isfinite(table["value"]).any()
    assert not np.isinf(table["value"]).any()


GOLDEN = {
    "filters": ("stem", "gabor_r2", 0.506962),
    "tuning": ("stem", "circular_variance", 0.615662),
    "embedding": ("penultimate", "silhouette", 0.574667),
    "activations": ("middle", "class_selectivity", 0.273307),
    "occlusion": ("middle", "change_inside", 0.0540248),
    "saliency": (LOGITS, "gradient/concentration", 0.201752),
    "similarity": ("stem", "with_last", 0.630282),
    "ascent": ("middle", "none/high_frequency", 0.779929),
    "inversion": ("middle", "feature_error", 0.640994),
}


@pytest.mark.parametrize("name", probes.names())
def test_the_number_of_a_seed_is_the_same_on_every_machine(name: str) -> None:
    layer, metric, value = GOLDEN[name]
    numbers = looked(name)[0].table.set_index(["layer", "metric", "unit"])["value"]
    assert numbers[layer, metric, "all"] == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize("name", probes.names())
def test_arrays_can_be_kept(name: str) -> None:
    arrays = looked(name)[0].arrays
    assert arrays
    assert all(isinstance(value, np.ndarray) and value.dtype != object for value in arrays.values())


@pytest.mark.parametrize("name", probes.names())
def test_the_model_is_left_as_it_was(name: str) -> None:
    network = looked(name)[1]
    torch.manual_seed(3)
    fresh = SmallNet()
    assert all(module.training for module in network.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in network.modules())
    assert [m.inplace for m in network.modules() if isinstance(m, nn.ReLU)] == [False, True]
    for key, value in fresh.state_dict().items():
        assert torch.equal(value, network.state_dict()[key]), key


@pytest.mark.parametrize("name", probes.names())
def test_the_seed_decides(name: str) -> None:
    first, network = looked(name)
    again = probes.run(name, network, *four_classes(), seed=1, **FEW[name])
    np.testing.assert_array_equal(first.table["value"], again.table["value"])
    for key, value in first.arrays.items():
        np.testing.assert_array_equal(value, again.arrays[key])


@pytest.mark.parametrize("name", probes.names())
def test_progress_is_told_to_the_end(name: str) -> None:
    told: list[tuple[str, int, int]] = []
    tell = lambda *each: told.append(each)  # noqa: E731
    probes.run(name, SmallNet().eval(), *four_classes(), progress=tell, **FEW[name])
    assert all(0 <= done <= total for _, done, total in told)
    assert told[-1][1] == told[-1][2] > 0


@pytest.mark.parametrize("name", probes.names())
def test_unknown_settings_and_stages_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=rf"probes\.{name}: unknown setting 'wrong'"):
        probes.get(name).check({"wrong": 3})
    assert not set(probes.get(name).settings) & {"model", "images", "labels", "seed", "progress"}
    if "stages" in inspect.signature(probes.get(name).run).parameters:
        with pytest.raises(UserError, match="nowhere"):
            probes.run(name, SmallNet().eval(), *four_classes(), stages=["nowhere"])


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="probe 'filter' is unknown; did you mean filters"):
        probes.get("filter")
    with pytest.raises(UserError, match="unknown setting 'neighbors'; did you mean neighbours"):
        probes.get("embedding").check({"neighbors": 3})
