"""Gradient ascent where the answer is known, and a batch that equals one after the other."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustness.errors import UserError
from robustness.probes import ascent
from robustness.probes.ascent_engine import Ascended, Job, ascend
from robustness.probes.ascent_numbers import transfer
from robustness.probes.facets import facet_starts
from robustness.probes.fourier import NaturalStatistics
from robustness.probes.layers import probing
from robustness.probes.reference_activations import ReferenceActivations, observe
from robustness.probes.regularisers import REGULARISERS, chosen
from robustness.probes.targets import Target, find_canvas


class Linear(nn.Module):
    """Scores are scalar products with given pictures; unit 2 never answers."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(9)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(3 * 8 * 8, 3, bias=False)
        self.head.weight.data.copy_(0.1 * torch.randn(3, 192, generator=generator))
        self.head.weight.data[2] = 0
        self.relu = nn.ReLU()
        self.stages = {"penultimate": "relu"}

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.head(self.flatten(x)))


def climb(model: nn.Module, stage: str, jobs: list[Job], images: Tensor, **options) -> Ascended:
    target = Target(stage, model.stages.get(stage, ""), reads_input=stage in model.stages)
    with probing(model, seed=0):
        canvas = find_canvas(model, target, images.shape[-2:])
        statistics = NaturalStatistics.of(canvas.field(images))
        return ascend(model, target, canvas, jobs, statistics, **options)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(6))


def test_a_linear_unit_prefers_its_weights(images: Tensor) -> None:
    model = Linear()
    jobs = [Job(unit, REGULARISERS["none"], start) for unit in (0, 1) for start in (0, 1)]
    found = climb(model, "penultimate", jobs, images, iterations=12, step=0.01, start_noise=0.0)
    distance = found.images - images.mean((0, 2, 3)).view(1, 3, 1, 1)
    for job, d in zip(jobs, distance, strict=True):
        weight = model.head.weight[job.unit].detach()
        assert float(torch.cosine_similarity(d.flatten(), weight, dim=0)) > 0.999
    assert (found.responses > model(images).max()).all()
    assert found.moved.all()


def test_the_best_image_is_kept_and_gives_its_response(images: Tensor) -> None:
    model = Linear()
    jobs = [Job(0, setting) for setting in REGULARISERS.values()]
    found = climb(model, "penultimate", jobs, images, iterations=20)
    with torch.no_grad():
        again = model.head(model.flatten(found.images))[:, 0]
    torch.testing.assert_close(again, found.responses, atol=1e-4, rtol=1e-4)
    pixels = torch.tensor([setting.space == "pixels" for setting in REGULARISERS.values()])
    assert (found.responses[pixels] >= found.trace[pixels].max(1).values - 1e-5).all()
    assert found.images.min() >= 0
    assert found.images.max() <= 1


@pytest.mark.parametrize("stage", ["stem", "middle", "logits"])
def test_a_batch_equals_one_after_the_other(small_net: nn.Module, batch, stage: str) -> None:
    pictures, _ = batch
    settings = REGULARISERS.values()
    jobs = [Job(unit, setting, start) for unit in (1, 3) for setting in settings for start in (0, 1)]
    together = climb(small_net, stage, jobs, pictures, iterations=9, seed=5)
    for index in (0, 7, 13, 21, 22, 33, 47):
        alone = climb(small_net, stage, [jobs[index]], pictures, iterations=9, seed=5)
        torch.testing.assert_close(alone.images[0], together.images[index], atol=2e-3, rtol=0)
        torch.testing.assert_close(alone.responses[0], together.responses[index], atol=1e-4, rtol=1e-3)


def test_published_rates_move_as_published(images: Tensor) -> None:
    model = Linear()
    found = climb(
        model, "penultimate", [Job(0, REGULARISERS["yosinski3"])], images,
        iterations=1, rate="published", start_noise=0.0,
    )  # fmt: skip
    mean = images.mean((0, 2, 3)).view(3, 1, 1)
    expected = mean + (1 - 1e-4) * 100 / 255**2 * model.head.weight[0].detach().view(3, 8, 8)
    torch.testing.assert_close(found.images[0], expected)


def test_a_unit_without_a_gradient_says_so(images: Tensor) -> None:
    plain = REGULARISERS["none"]
    found = climb(Linear(), "penultimate", [Job(2, plain), Job(0, plain)], images)
    assert found.moved.tolist() == [False, True]


def test_a_start_image_needs_pixels(images: Tensor) -> None:
    with pytest.raises(UserError, match="needs a regulariser on pixels, not on 'fourier'"):
        climb(Linear(), "penultimate", [Job(0, REGULARISERS["fourier"], 0, images[0])], images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": [99]}, "'middle' has no unit 99; it has units 0 to 11"),
        ({"stages": ["lat"]}, "the model has no stage 'lat'"),
        ({"regularisers": ["bluur"]}, "unknown 'bluur'; did you mean blur"),
        ({"rate": "fast"}, "rate 'fast' is unknown; use normalised or published"),
        ({"rate": "published", "regularisers": ["none"]}, "no published rate for 'none'"),
    ],
)
def test_wrong_settings_are_one_line(small_net: nn.Module, batch, options: dict, message: str) -> None:
    pictures, labels = batch
    with pytest.raises(UserError, match=message):
        ascent.run(small_net, pictures, labels, **{"stages": ["middle"], "iterations": 1, **options})


def test_the_probes_numbers_of_a_linear_unit(images: Tensor) -> None:
    result = ascent.run(
        Linear(), images, stages=["penultimate"], units=[0, 1], logits=[0],
        regularisers=["none", "blur", "spectrum"], iterations=16, facets=2,
    )  # fmt: skip
    rows = result.table.set_index(["layer", "metric", "unit"])["value"]
    assert rows["penultimate", "none/activation_ratio", "all"] > 1
    assert rows["penultimate", "none/activation_ratio", "0"] > 1
    # The spectrum of the images of noise leaves no room beyond them; blurring takes high frequencies away.
    fine = rows["penultimate"]
    assert fine["blur/high_frequency", "all"] < fine["none/high_frequency", "all"]
    assert rows["penultimate", "none/diversity", "all"] == pytest.approx(0, abs=0.05)
    assert 0 < rows["penultimate", "none/stability", "all"] < 1.2
    assert rows["penultimate", "dead_share", "all"] == 0
    assert result.arrays["penultimate/images"].shape == (2, 3, 2, 3, 8, 8)
    assert result.arrays["facets/images"].shape == (2, 3, 8, 8)
    assert np.isfinite(rows["logits", "facets/activation_ratio", "0"])


def test_dead_units_are_told(images: Tensor) -> None:
    result = ascent.run(
        Linear(), images, stages=["penultimate"], units=[0, 2], logits=1, regularisers=["none"],
        iterations=2, facets=0,
    )  # fmt: skip
    assert result.arrays["penultimate/dead"].tolist() == [False, True]
    rows = result.table.set_index(["layer", "metric", "unit"])["value"]
    assert rows["penultimate", "dead_share", "all"] == 0.5
    assert np.isnan(rows["penultimate", "none/activation_ratio", "2"])


class Gated(nn.Module):
    """Unit 0 has no gradient at the mean colour: a first ReLU lets nothing through there."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.ReLU()
        self.smooth = nn.SiLU()
        self.stages = {"penultimate": "smooth"}

    def forward(self, x: Tensor) -> Tensor:
        return self.smooth(self.gate(x - 0.9).sum((2, 3))[:, :2])


def test_a_second_start_from_the_strongest_natural_image() -> None:
    pictures = torch.full((10, 3, 6, 6), 0.4)
    pictures[3, :, 2, 2] = 1.0
    result = ascent.run(
        Gated(), pictures, stages=["penultimate"], units=[0], logits=1, regularisers=["none"],
        starts=1, iterations=4, facets=0,
    )  # fmt: skip
    assert result.arrays["penultimate/moved"].all()
    assert result.table.set_index(["metric", "unit"])["value"]["none/activation_ratio", "0"].min() >= 1


def test_batch_size_of_the_probe_changes_nothing(small_net: nn.Module, batch) -> None:
    pictures, labels = batch
    options = dict(stages=["middle"], units=2, logits=1, iterations=6, facets=0)
    options["regularisers"] = ["none", "blur", "fourier"]
    one = ascent.run(small_net, pictures, labels, batch=4, **options)
    two = ascent.run(small_net, pictures, labels, batch=96, **options)
    np.testing.assert_allclose(one.table["value"], two.table["value"], rtol=2e-2, atol=2e-3)


def test_facets_find_planted_kinds_of_image() -> None:
    generator = torch.Generator().manual_seed(0)
    kinds = torch.arange(40) % 2
    pictures = kinds.float().view(-1, 1, 1, 1).expand(-1, 3, 4, 4) * 0.8
    features = torch.randn(40, 6, generator=generator).numpy() * 0.05
    features[:, 0] += 10 * kinds.numpy()
    starts = facet_starts(pictures, features, np.ones(40), facets=2)
    assert sorted(round(float(start.mean()), 3) for start in starts) == [0.0, 0.8]


def test_natural_responses_and_their_places(small_net: nn.Module, batch) -> None:
    pictures, _ = batch
    target = Target("stem", "relu1", True)
    with probing(small_net, seed=0), torch.no_grad():
        natural = observe(small_net, {"stem": target}, pictures, batch=5)
        maps = small_net.conv1(pictures)
        canvas = find_canvas(small_net, target, (16, 16))
    np.testing.assert_allclose(natural.largest["stem"], maps.amax((0, 2, 3)), rtol=1e-5)
    for unit in range(8):
        image = int(maps[:, unit].amax((1, 2)).argmax())
        place = int(maps[image, unit].argmax())
        assert natural.strongest["stem"][unit] == image
        assert natural.place["stem"][unit].tolist() == [place // 8, place % 8]
        row, column = place // 8, place % 8
        if 1 <= row < 7 and 1 <= column < 7:
            piece = pictures[image, :, 2 * row - 2 : 2 * row + 3, 2 * column - 2 : 2 * column + 3]
            torch.testing.assert_close(natural.field("stem", unit, canvas), piece)


def test_transfer_to_another_network() -> None:
    class Brightest(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((2, 3))

    pictures = torch.eye(3)[:, :, None, None].expand(3, 3, 4, 4)
    assert transfer(pictures, [0, 1, 0], Brightest()) == pytest.approx(2 / 3)


def test_the_prior_is_marked_on_all_but_the_control() -> None:
    assert [setting.name for setting in chosen(list(REGULARISERS)) if not setting.prior] == ["none"]


def test_sparseness_by_hand() -> None:
    """1 for a unit that answers to one image of four, 0 to all alike; half of them: (1 − 1/2)/(1 − 1/4)."""
    responses = np.array([[8.0, 3.0, 1.0], [2.0, 3.0, 1.0], [2.0, 3.0, 0.0], [2.0, 3.0, 0.0]])
    natural = SimpleNamespace(responses={"early": responses})
    found = ReferenceActivations.sparseness(natural, "early")
    np.testing.assert_allclose(found, [1, 0, 2 / 3], rtol=1e-9)
