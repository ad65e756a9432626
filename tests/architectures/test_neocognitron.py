"""The Neocognitron: cells by formula, learning by its rules, and what it does on real digits."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from robustness import architectures
from robustness.architectures.blocks import neocognitron_learning as learning
from robustness.architectures.blocks.neocognitron_layers import CLayer, Contrast, SLayer
from robustness.errors import UserError

sys.path.insert(0, str(Path(__file__).parent))
import digits_study


def drawn_layer(selectivity: float = 1.5, padding: int = 2) -> SLayer:
    torch.manual_seed(0)
    layer = SLayer(3, 4, selectivity=selectivity, rate=16.0, padding=padding)
    layer.excitation.data.uniform_(0, 2)
    layer.inhibition.data.uniform_(0, 3)
    return layer


def test_s_cell_by_the_papers_formula() -> None:
    layer = drawn_layer()
    x = torch.rand(1, 3, 6, 6)
    found = layer(x)[0].numpy()
    r, a, b = 1.5, layer.excitation.numpy(), layer.inhibition.numpy()
    offsets = [(i, j) for i in range(-2, 3) for j in range(-2, 3)]
    nearness = {v: 0.9 ** np.hypot(*v) for v in offsets}
    total = 3 * sum(nearness.values())
    u = np.zeros((3, 10, 10))
    u[:, 2:8, 2:8] = x[0].numpy()
    positive = 0
    for plane in range(4):
        for y in range(6):
            for z in range(6):
                excited = inhibiting = 0.0
                for i, j in offsets:
                    for source in range(3):
                        value = u[source, y + 2 + i, z + 2 + j]
                        excited += a[plane, source, i + 2, j + 2] * value
                        inhibiting += nearness[i, j] / total * value**2
                ratio = (1 + excited) / (1 + 2 * r / (1 + r) * b[plane] * np.sqrt(inhibiting))
                expected = r * max(ratio - 1, 0)
                positive += expected > 0
                assert found[plane, y, z] == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert positive > 0


def test_c_cell_by_the_papers_formula() -> None:
    layer = CLayer(side=5, margin=1, gain=2.0)
    s = torch.rand(1, 4, 16, 16)
    found = layer(s)[0].numpy()
    assert found.shape == (4, 10, 10)
    u = s[0].numpy()
    for y, x in ((0, 0), (3, 7), (9, 9)):
        # C-cell (y, x) of UC1 stands at S-cell (y + 3, x + 3) of the 16 x 16.
        sums = np.zeros(4)
        for i in range(-2, 3):
            for j in range(-2, 3):
                sums += 2.0 * 0.9 ** np.hypot(i, j) * u[:, y + 3 + i, x + 3 + j]
        for plane in range(4):
            value = max((1 + sums[plane]) / (1 + sums.mean()) - 1, 0)
            assert found[plane, y, x] == pytest.approx(value / (0.5 + value), rel=1e-4, abs=1e-6)


def test_maps_have_the_published_sizes() -> None:
    network = architectures.build("neocognitron", num_classes=5, in_channels=1, image_size=16)
    shapes = {}
    for name in ("us1", "uc1", "us2", "uc2", "us3", "uc3"):
        network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: shapes.update({name: tuple(output.shape[1:])})
        )
    network(torch.rand(1, 1, 16, 16))
    assert shapes == {
        "us1": (24, 16, 16),
        "uc1": (24, 10, 10),
        "us2": (24, 8, 8),
        "uc2": (24, 6, 6),
        "us3": (24, 2, 2),
        "uc3": (24, 1, 1),
    }


@pytest.mark.parametrize("size", [32, 64])
def test_larger_images_give_the_same_maps_from_uc1_on(size: int) -> None:
    network = architectures.build("neocognitron", num_classes=5, image_size=size)
    x = network.us1(network.contrast(torch.rand(1, 3, size, size)))
    assert x.shape == (1, 24, size, size)
    assert network.uc1(x).shape == (1, 24, 10, 10)


def test_contrast_is_nothing_on_an_even_image_and_signed_at_an_edge() -> None:
    contrast = Contrast()
    assert contrast(torch.full((1, 3, 16, 16), 0.7)).abs().max() < 1e-6
    edge = torch.zeros(1, 1, 16, 16)
    edge[..., 8:] = 1
    on, off = contrast(edge)[0]
    assert on[8, 8] > 0.05
    assert off[8, 7] > 0.05
    assert on[8, 7] == off[8, 8] == 0


def brute_representatives(responses: np.ndarray, column: int) -> set[tuple[int, int]]:
    """For every column the place and plane of the largest cell, then the largest of each plane."""
    _, height, width = responses.shape
    reach = column // 2
    candidates: dict[int, tuple[float, int]] = {}
    for y in range(height):
        for x in range(width):
            rows = slice(max(0, y - reach), y + reach + 1)
            columns = slice(max(0, x - reach), x + reach + 1)
            area = responses[:, rows, columns]
            plane, i, j = np.unravel_index(area.argmax(), area.shape)
            if area.max() <= 0:
                continue
            place = (rows.start + i) * width + columns.start + j
            if area.max() > candidates.get(plane, (0.0, 0))[0]:
                candidates[plane] = (area.max(), place)
    return {(int(plane), int(place)) for plane, (_, place) in candidates.items()}


@pytest.mark.parametrize("column", [3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_representatives(column: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    responses = (torch.rand(6, 9, 9, generator=generator) - 0.8).clamp_min(0)
    planes, places = learning.representatives(responses, column)
    found = set(zip(planes.tolist(), places.tolist(), strict=True))
    assert found == brute_representatives(responses.numpy(), column)
    assert len(found) > 1


def test_no_response_no_representative() -> None:
    planes, places = learning.representatives(torch.zeros(4, 5, 5), 5)
    assert len(planes) == len(places) == 0


def test_reinforcement_by_the_papers_rule() -> None:
    layer = drawn_layer()
    a, b = layer.excitation.clone(), layer.inhibition.clone()
    x = torch.rand(1, 3, 6, 6)
    v = layer.inhibiting(x)
    patches = nn.functional.unfold(x, 5, padding=2)[0]
    places = torch.tensor([7, 20])
    learning.reinforce(layer, patches[:, places].T, v.flatten()[places], torch.tensor([3, 1]))
    padded = nn.functional.pad(x[0], (2, 2, 2, 2))
    for plane, place in ((3, 7), (1, 20)):
        row, column = divmod(place, 6)
        patch = padded[:, row : row + 5, column : column + 5]
        assert torch.allclose(layer.excitation[plane] - a[plane], 16 * layer.nearness * patch, atol=1e-5)
        assert (layer.inhibition[plane] - b[plane]).item() == pytest.approx(
            8 * v.flatten()[place].item(), rel=1e-4
        )
    for plane in (0, 2):
        assert torch.equal(layer.excitation[plane], a[plane])
        assert layer.inhibition[plane] == b[plane]


def test_a_cell_answers_its_own_pattern_with_one_and_others_by_likeness() -> None:
    layer = SLayer(1, 2, selectivity=4.0, rate=1e4, padding=0)
    pattern = torch.rand(1, 1, 5, 5)
    learning.reinforce(layer, pattern.flatten(1), layer.inhibiting(pattern).flatten(), torch.tensor([0]))
    assert layer(pattern).flatten().tolist() == pytest.approx([1, 0], abs=0.01)
    other = (pattern + 0.3 * torch.rand(1, 1, 5, 5)).abs()
    weights = layer.nearness
    likeness = (weights * pattern * other).sum() / torch.sqrt(
        (weights * pattern**2).sum() * (weights * other**2).sum()
    )
    assert likeness > 0.8
    assert layer(other)[0, 0].item() == pytest.approx((5 * likeness - 4).item(), abs=0.02)
    assert layer(1 - pattern)[0, 0].item() == 0


@pytest.mark.parametrize(("learning_selectivity", "answering"), [(None, 1), (4.0, 2)])
def test_choosy_learning_gives_two_like_patterns_a_plane_each(
    learning_selectivity: float | None, answering: int
) -> None:
    # Their likeness is between the 0.6 of r = 1.5 and the 0.8 of r = 4.
    patterns = torch.zeros(2, 1, 5, 5)
    patterns[0, 0, :, 1:4] = patterns[1, 0, :, 2:] = 1
    layer = SLayer(1, 3, selectivity=1.5, learning_selectivity=learning_selectivity, rate=1e4, padding=0)
    generator = torch.Generator().manual_seed(0)
    learning.fresh_weights(layer, generator, oriented=False)
    learning.organise(layer, patterns, column=5, presentations=20, generator=generator)
    assert ((layer(patterns)[:, :, 0, 0] > 0.1).sum(1) == answering).all()


def organised(seed: int = 0, **options: object) -> nn.Module:
    images, *_ = digits_study.digits((0, 1, 2), 0, 30, 10)
    network = architectures.build(
        "neocognitron", num_classes=3, in_channels=1, image_size=16, presentations=60, **options
    )
    network.self_organise(images, seed=seed)
    return network


def test_organisation_depends_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    one = organised(seed=5)
    torch.manual_seed(2)
    two, other = organised(seed=5), organised(seed=6)
    for name, value in one.state_dict().items():
        if not name.startswith("readout"):
            assert torch.equal(value, two.state_dict()[name]), name
    assert not torch.equal(one.us1.excitation, other.us1.excitation)


def test_only_the_read_out_learns_from_labels() -> None:
    network = organised()
    assert {name for name, p in network.named_parameters() if p.requires_grad} == {
        "readout.weight",
        "readout.bias",
    }
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    images, *_ = digits_study.digits((0, 1, 2), 0, 8, 10)
    nn.functional.cross_entropy(network(images), torch.arange(8) % 3).backward()
    optimiser.step()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"readout.weight", "readout.bias"}


def test_every_layer_has_learnt_and_gradients_pass_through_all() -> None:
    network = organised()
    for layer in (network.us1, network.us2, network.us3):
        assert (layer.inhibition > 0).sum() >= 2
    _, _, held_out, _ = digits_study.digits((0, 1, 2), 0, 30, 10)
    x = held_out.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(x).square().sum(), x)
    assert torch.isfinite(gradient).all()
    assert (gradient.abs().amax(dim=(1, 2, 3)) > 0).float().mean() >= 0.9
    # A step against the gradient lowers what it is the gradient of.
    with torch.no_grad():
        value, after = (network(y).square().sum() for y in (x, x - 1e-4 * gradient / gradient.abs().max()))
    assert after < value


def test_gradient_is_the_slope() -> None:
    network = organised()
    layer = network.us2
    _, _, held_out, _ = digits_study.digits((0, 1, 2), 0, 30, 10)
    x = network._to_uc1(held_out).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x).square().sum(), x)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        up, down = (layer(x + sign * 1e-3 * direction).square().sum() for sign in (1, -1))
    slope = (gradient * direction).sum().item()
    assert abs(slope) > 0.1
    assert ((up - down) / 2e-3).item() == pytest.approx(slope, rel=0.02)


def test_front_end_in_the_place_of_us1_is_left_alone() -> None:
    images, *_ = digits_study.digits((0, 1, 2), 0, 30, 10)
    network = architectures.build(
        "neocognitron", num_classes=3, in_channels=1, image_size=16, presentations=60
    )
    front_end = nn.Sequential(nn.Conv2d(1, 24, 3, padding=1), nn.ReLU())
    before = front_end[0].weight.clone()
    network.contrast, network.us1 = front_end, nn.Identity()
    network.self_organise(images, seed=0)
    assert torch.equal(front_end[0].weight, before)
    assert (network.us2.inhibition > 0).any()
    assert (network.us3.inhibition > 0).any()


def test_us1_learns_inside_a_noisy_front_end() -> None:
    images, *_ = digits_study.digits((0, 1, 2), 0, 30, 10)
    network = architectures.build(
        "neocognitron", num_classes=3, in_channels=1, image_size=16, presentations=60
    )
    network.us1 = nn.Sequential(network.us1, nn.Identity())
    network.self_organise(images, seed=0)
    plain = organised()
    assert torch.equal(network.us1[0].excitation, plain.us1.excitation)


def test_progress_is_told_a_stage_at_a_time() -> None:
    images, *_ = digits_study.digits((0, 1, 2), 0, 30, 10)
    network = architectures.build(
        "neocognitron", num_classes=3, in_channels=1, image_size=16, presentations=200
    )
    told = []
    network.self_organise(images, seed=0, progress=lambda *report: told.append(report))
    assert told == [(stage, done, 200) for stage in ("us1", "us2", "us3") for done in (100, 200)]


def test_no_image_is_refused() -> None:
    network = architectures.build("neocognitron", num_classes=3, in_channels=1, image_size=16)
    with pytest.raises(UserError, match="no image"):
        network.self_organise(torch.zeros(0, 1, 16, 16), seed=0)


@pytest.fixture(scope="module", params=[1.0, 1.5], ids=lambda r: f"r3={r}")
def studies(request: pytest.FixtureRequest) -> tuple[float, list[digits_study.Study]]:
    """Three seeds on the digits 0, 1 and 2, with a more tolerant US3 and with the published one."""
    r = request.param
    return r, [digits_study.study((0, 1, 2), seed=seed, selectivity3=r) for seed in range(3)]


def test_winning_plane_stays_the_same_for_shifts_up_to_two_pixels(studies: tuple) -> None:
    r, results = studies
    if r == 1.0:
        assert min(study.stable for study in results) >= 0.8
    else:
        # The published r gives 0.80 to 0.83 (docs/neocognitron.md); rounding may tip a digit.
        assert np.mean([study.stable for study in results]) >= 0.78
    # A net with one plane for all digits would be stable too.
    assert min(study.planes for study in results) >= 3
    assert min(study.purity for study in results) >= 0.8


def test_read_out_beats_a_linear_classifier_on_shifted_digits(studies: tuple) -> None:
    _, results = studies
    assert min(study.clean for study in results) > 0.85
    assert min(study.linear_clean for study in results) > 0.9
    for study in results:
        assert study.shifted > study.linear_shifted + 0.05
