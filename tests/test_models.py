"""Checkpoints: what is written is read back, and nothing else is accepted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from robustness import models
from robustness.errors import UserError

SPEC = models.ModelSpec("resnet18", "vone", "canonical", num_classes=4, image_size=64, seed=1, width=0.125)


def test_round_trip_keeps_spec_weights_and_notes(tmp_path: Path) -> None:
    model = models.build(SPEC)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    models.save(model, tmp_path / "w.safetensors", {"images": 7})
    spec, notes = models.read_header(tmp_path / "w.safetensors")
    assert spec == SPEC
    assert notes == {"images": 7}
    again = models.load(tmp_path / "w.safetensors")
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_equal_models_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        models.save(models.build(SPEC), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_building_leaves_the_random_state_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    models.build(SPEC)
    assert torch.equal(torch.rand(3), expected)


def test_another_seed_gives_other_weights() -> None:
    a, b = models.build(SPEC), models.build(replace(SPEC, seed=2))
    assert not torch.equal(next(a.network.layer1.parameters()), next(b.network.layer1.parameters()))


def test_a_replicate_has_its_own_seed_and_all_else_alike() -> None:
    values = {"family": "resnet", "architecture": "resnet18", "frontend": "vone", "width": 0.125}
    first, second = models.ModelSettings.read(values), models.ModelSettings.read(values | {"seed": 2})
    specs = [model.spec(4, 64, {"simple_channels": 8}, seed=1) for model in (first, second)]
    assert specs[1] == replace(specs[0], seed=2)
    banks = [models.build(spec).network.conv1.block.state_dict() for spec in specs]
    assert any(not torch.equal(value, banks[1][name]) for name, value in banks[0].items())


def test_an_architecture_may_be_named_by_its_family_alone() -> None:
    assert models.ModelSettings.read({"family": "alexnet"}).architecture == "alexnet"
    with pytest.raises(UserError, match="family: is missing; seresnet18 is of the family resnet"):
        models.ModelSettings.read({"architecture": "seresnet18"})


def test_broken_checkpoints_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(UserError, match="no such checkpoint"):
        models.load(path)
    models.save(models.build(SPEC), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="not a readable safetensors file"):
        models.load(path)
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(UserError, match="not a readable safetensors file"):
        models.load(path)
    from safetensors.torch import save_file

    save_file({"weights": torch.zeros(3)}, str(path))
    with pytest.raises(UserError, match="not a checkpoint of this project"):
        models.load(path)


def test_unknown_front_end_option_names_the_known() -> None:
    with pytest.raises(UserError, match="unknown key 'kernel'; known are"):
        models.frontend_options({"kernel": 3})


def test_normalisation_is_inside(tmp_path: Path) -> None:
    layer = models.Normalise((0.5, 0.25, 0.0), (0.5, 0.25, 1.0))
    assert torch.equal(layer(torch.ones(1, 3, 1, 1)).flatten(), torch.tensor([1.0, 3.0, 1.0]))


@pytest.mark.parametrize(
    ("architecture", "published"),
    [("mobilenet_v1", 569e6), ("resnet18", 1.8e9), ("vgg11", 7.6e9), ("alexnet", 0.72e9)],
)
def test_multiply_adds_are_the_published(architecture: str, published: float) -> None:
    """Howard et al. 2017, table 4; He et al. 2016, table 1; the others by their layers' sizes."""
    model = models.build(models.ModelSpec(architecture, "learned", "canonical", 1000, 224, seed=0))
    assert models.multiply_adds(model) == pytest.approx(published, rel=0.01)


def test_a_fourier_transform_has_its_multiply_adds() -> None:
    class Transform(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.spec = models.ModelSpec("resnet18", "learned", "canonical", 2, 64, seed=0)
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.fft.fft2(self.scale * images.to(torch.complex64))

    values = 3 * 64 * 64
    assert models.multiply_adds(Transform()) == round(2.5 * values * 12)
