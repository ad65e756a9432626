"""Front-ends in the place of a stem: in every family, by every name, at the stem's own size."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from frontend_tools import SMALL, TinyNet, images, tiny
from torch import Tensor, nn

from robustness import architectures, frontends
from robustness.errors import UserError
from robustness.frontends import FrontendOptions, draws, noise
from robustness.frontends.blocks.v1_block import placement


def families() -> list[str]:
    """The first architecture of every family."""
    chosen: dict[str, str] = {}
    for name in architectures.names():
        chosen.setdefault(architectures.get(name).family, name)
    return list(chosen.values())


def output_of(network: nn.Module, path: str, image: Tensor) -> Tensor:
    seen = []
    hook = network.get_submodule(path).register_forward_hook(lambda module, args, output: seen.append(output))
    network(image)
    hook.remove()
    assert len(seen) == 1, f"{path} was called {len(seen)} times"
    return seen[0]


def test_there_are_fourteen_families_and_the_base_line():
    assert len(families()) == 15


@pytest.mark.parametrize("name", families())
def test_the_block_fits_every_family(name):
    architecture = architectures.get(name)
    torch.manual_seed(0)
    network = architectures.build(name, num_classes=4, image_size=64, width=0.25).eval()
    image = images(2, size=64)
    with torch.no_grad():
        wanted = output_of(network, architecture.stem.modules[-1], image).shape
    frontends.install(network, architecture, "vone", image_size=64, seed=0, options=SMALL)
    assert output_of(network, architecture.stages["stem"], image).shape == wanted
    image.requires_grad_()
    with draws(network, 2), noise(network, "frozen"):
        logits = network(image)
    assert logits.shape == (4, 4)
    logits.sum().backward()
    assert image.grad.isfinite().all()
    for path in architecture.stem.modules[1:]:
        assert isinstance(network.get_submodule(path), nn.Identity)


@pytest.mark.parametrize("name", frontends.names())
def test_every_front_end_runs_forwards_and_backwards(name):
    network, image = tiny(name), images(3).requires_grad_()
    logits = network(image)
    assert logits.shape == (3, 5)
    logits.square().sum().backward()
    assert image.grad.isfinite().all()
    assert image.grad.abs().max() > 0


LOGITS = {
    "learned": 0.681099,
    "vone": 16.280521,
    "gabor": 6.976841,
    "random": 12.861082,
    "learned_noise": 1.305338,
    "gabor_trained": 16.280521,
    "learned_coarse": 0.681099,  # at a least stride of 1 the stem as it is
    "image_noise": 1.055606,
    "push_pull": 0.569036,
    "scattering": 0.846877,
    "scattering_noise": 0.594679,
    "divisive_normalisation": 23.704890,
    "subcortical": 0.758672,
    "evnet": 2.778329,
    "blurred": 0.142858,
}
"""The sum of the squared logits of four images, with frozen noise."""


@pytest.mark.parametrize("name", frontends.names())
def test_logits_of_a_seed_are_the_same_on_every_machine(name):
    network = tiny(name)
    with torch.no_grad(), noise(network, "frozen", seed=3):
        logits = network(images(4))
    assert logits.double().square().sum().item() == pytest.approx(LOGITS[name], rel=1e-4)


@pytest.mark.parametrize("name", frontends.names())
def test_noise_is_all_that_differs_between_calls(name):
    network, image = tiny(name), images(2)
    with torch.no_grad():
        assert torch.equal(network(image), network(image)) != frontends.is_stochastic(network)
        with noise(network, "off"):
            assert torch.equal(network(image), network(image))
            again = tiny(name)
            with noise(again, "off"):
                assert torch.equal(again(image), network(image))


@pytest.mark.parametrize("name", frontends.names())
def test_a_constant_grey_image_has_a_gradient(name):
    network = tiny(name)
    for value in (0.0, 0.3):
        image = torch.full((2, 3, 32, 32), value, requires_grad=True)
        network(image).sum().backward()
        assert image.grad.isfinite().all()


@pytest.mark.parametrize("name", ["vone", "gabor_trained"])
def test_a_model_first_used_in_inference_mode_still_has_gradients(name):
    network, image = tiny(name), images(2)
    with torch.inference_mode(), noise(network, "frozen"):
        first = network(image).clone()
    image.requires_grad_()
    with noise(network, "frozen"):
        second = network(image)
        second.sum().backward()
    assert torch.allclose(first, second, atol=1e-5)
    assert image.grad.abs().max() > 0


RIVALS = (
    "push_pull",
    "scattering",
    "scattering_noise",
    "divisive_normalisation",
    "subcortical",
    "evnet",
    "blurred",
)
"""The front-ends of other papers, and what goes with them."""


def gratings(count: int) -> Tensor:
    """(count, 3, 64, 64) gratings of three orientations in turn, of random phase, as bright as photos."""
    phase = 6.28 * torch.rand(count, generator=torch.Generator().manual_seed(0))
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    axes = torch.stack([rows, columns, (rows + columns) / 2**0.5])[torch.arange(count) % 3]
    return (axes + phase[:, None, None] * 1.3).div(1.3).sin()[:, None].expand(-1, 3, -1, -1)


@pytest.mark.parametrize("family", ["alexnet", "resnet18", "mobilenet_v1"])
@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_trains(name, family):
    """Three orientations are learned in a few steps, under one field of noise in all of them, so that the
    loss can be compared; every parameter has finite gradients, not all 0, under live noise too."""
    torch.manual_seed(0)
    extra = {"batch_norm": True, "initialisation": "he", "dropout": 0.0} if family == "alexnet" else {}
    network = architectures.build(family, num_classes=3, image_size=64, width=0.25, **extra)
    options = FrontendOptions(simple_channels=16, complex_channels=16, minimum_stride=4, batch_norm=True)
    frontends.install(network, architectures.get(family), name, image_size=64, seed=0, options=options)
    image, label = gratings(12), torch.arange(12) % 3
    optimiser = torch.optim.AdamW(network.train().parameters(), lr=0.002)
    losses = []
    for mode in ["live"] + ["frozen"] * 12:
        optimiser.zero_grad()
        with noise(network, mode):
            loss = nn.functional.cross_entropy(network(image), label)
            loss.backward()
        gradients = {key: p.grad for key, p in network.named_parameters() if p.requires_grad}
        assert all(gradient.isfinite().all() for gradient in gradients.values())
        optimiser.step()
        losses.append(loss.item())
    assert [key for key, gradient in gradients.items() if not gradient.any()] == []
    assert losses[-1] < 0.4 * losses[1], losses


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_takes_images_of_half_the_size(name):
    """As a training at half the resolution shows them; the rest of the network gets half the map."""
    architecture = architectures.get("mobilenet_v1")
    network = architectures.build("mobilenet_v1", num_classes=4, image_size=64, width=0.25).eval()
    frontends.install(network, architecture, name, image_size=64, seed=0, options=SMALL)
    image = images(2, 32).requires_grad_()
    assert output_of(network, architecture.stem.modules[-1], image).shape[-2:] == (16, 16)
    network(image).square().sum().backward()
    assert image.grad.isfinite().all()


def test_names_and_unknown_name():
    controls = {"gabor", "random", "learned_noise", "gabor_trained", "learned_coarse", "image_noise"}
    assert set(frontends.names()) == {"learned", "vone"} | controls | set(RIVALS)
    with pytest.raises(UserError, match="frontend 'vones' is unknown; did you mean vone"):
        tiny("vones")


def test_the_coarse_stem_has_the_banks_stride():
    """Twice the stride of the last pooling is twice that of the stem."""
    network, image = tiny("learned_coarse", options=replace(SMALL, minimum_stride=8)), images(2)
    own = tiny("learned")
    wide = nn.functional.max_pool2d(own.act(own.conv(image)), 3, stride=4, padding=1)
    expected = nn.functional.interpolate(wide, size=(8, 8), mode="bilinear", align_corners=False)
    assert torch.allclose(network.pool(network.act(network.conv(image))), expected, atol=1e-6)
    same = tiny("learned_coarse", options=replace(SMALL, minimum_stride=4))
    assert torch.equal(same(image), own(image))


def test_what_each_front_end_trains():
    def trained(name: str) -> set[str]:
        return {key for key, parameter in tiny(name).conv.named_parameters() if parameter.requires_grad}

    assert trained("vone") == trained("gabor") == trained("random") == {"bottleneck.weight"}
    assert trained("gabor_trained") == {"bottleneck.weight", "block.filters"}
    assert trained("learned") == {"weight", "bias"}


def test_learned_is_left_as_it_is():
    network = TinyNet()
    before = copy.deepcopy(network.state_dict())
    assert frontends.install(network, TinyNet.architecture, "learned", image_size=32, seed=0) is network
    assert network.state_dict().keys() == before.keys()
    assert isinstance(network.conv, nn.Conv2d)


def test_learned_noise_is_the_stem_with_noise_on_its_output():
    learned, noisy, image = tiny("learned"), tiny("learned_noise"), images(2)
    with noise(noisy, "off"):
        assert torch.allclose(noisy(image), learned(image))
    stem = output_of(learned, "pool", image)
    with noise(noisy, "frozen", seed=3):
        changed = output_of(noisy, "pool", image)
    spread = (0.35 * stem + 0.07 + 1e-4).sqrt() / 0.35
    field = (changed - stem) / spread
    both = (changed > 0).all(dim=0)
    assert both.float().mean() > 0.2
    assert torch.allclose(field[0][both], field[1][both], atol=1e-4)
    assert (changed >= 0).all()


def test_image_noise_is_the_stem_on_a_noisy_image():
    learned, noisy, image = tiny("learned"), tiny("image_noise"), images(2)
    with noise(noisy, "off"):
        assert torch.allclose(noisy(image), learned(image))
    with noise(noisy, "frozen", seed=3):
        changed = output_of(noisy, "conv", image)
        field = output_of(noisy, "conv.0", image) - image
    assert torch.allclose(field[0], field[1], atol=1e-6)
    assert abs(field[0].std().item() - 0.86) < 0.04
    assert torch.allclose(changed, learned.conv(image + field), atol=1e-5)
    with draws(noisy, 3):
        assert noisy(image).shape == (6, 5)
    point = image.clone().requires_grad_()
    with noise(noisy, "frozen", seed=3):
        (slope,) = torch.autograd.grad(noisy(point).sum(), point)
    other = (image + field).requires_grad_()
    assert torch.allclose(slope, torch.autograd.grad(learned(other).sum(), other)[0], atol=1e-5)


def test_noise_on_a_signed_stem_keeps_the_sign():
    torch.manual_seed(0)
    network = TinyNet()
    network.act = nn.Tanh()
    frontends.install(network, TinyNet.architecture, "learned_noise", image_size=32, seed=0)
    assert output_of(network, "pool", images(4)).min() < 0


def test_random_filters_have_the_norms_of_the_gabor_filters_and_their_channels():
    gabor, random = tiny("gabor").conv.block, tiny("random").conv.block
    assert torch.allclose(gabor.filters.flatten(1).norm(dim=1), random.filters.flatten(1).norm(dim=1))
    assert torch.equal(gabor.colours, random.colours)
    likeness = torch.cosine_similarity(gabor.filters.flatten(1), random.filters.flatten(1))
    assert likeness.abs().max() < 0.25
    white = random.filters / random.filters.flatten(1).std(dim=1)[:, None, None]
    assert abs((white[:, 1:] * white[:, :-1]).mean().item()) < 0.03


def test_the_seed_decides_filters_and_bottleneck_and_nothing_else_does():
    first, second, other = tiny("vone", seed=3), tiny("vone", seed=3), tiny("vone", seed=4)
    torch.manual_seed(99)
    third = tiny("vone", seed=3)
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])
        assert torch.equal(value, third.state_dict()[key])
    assert not torch.allclose(first.conv.block.filters, other.conv.block.filters)
    assert not torch.allclose(first.conv.bottleneck.weight, other.conv.bottleneck.weight)


def test_installing_leaves_torchs_generator_and_the_stems_statistics_alone():
    network = nn.Sequential()
    network.add_module("conv", nn.Conv2d(3, 6, 3, padding=1))
    network.add_module("norm", nn.BatchNorm2d(6))
    network.train()
    architecture = copy.copy(TinyNet.architecture)
    architecture.stem = type(TinyNet.architecture.stem)(("conv", "norm"), 1, 6)
    torch.manual_seed(0)
    expected = torch.get_rng_state()
    frontends.install(network, architecture, "learned_noise", image_size=16, seed=0)
    assert torch.equal(torch.get_rng_state(), expected)
    assert network.training
    assert network.norm[0].training
    assert network.norm[0].num_batches_tracked == 0


def test_responses_of_a_seed_are_the_same_on_every_machine():
    """Golden values of the published block at 64 pixels: seed 0, a fixed pattern of stripes."""
    network = TinyNet()
    frontends.install(network, TinyNet.architecture, "gabor", image_size=64, seed=0)
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    image = torch.stack([(rows / 5).sin(), ((rows + columns) / 4).cos(), (columns / 3).sin()])[None]
    responses = network.conv.block(image).double()
    assert responses.shape == (1, 512, 16, 16)
    assert responses[:, :256].sum().item() == pytest.approx(GOLDEN["simple"], rel=1e-6)
    assert responses[:, 256:].sum().item() == pytest.approx(GOLDEN["complex"], rel=1e-6)
    assert responses.square().sum().item() == pytest.approx(GOLDEN["square"], rel=1e-6)
    assert network.conv.bottleneck.weight.double().abs().sum().item() == pytest.approx(
        GOLDEN["bottleneck"], rel=1e-6
    )


GOLDEN = {
    # In float64, by a plain convolution.
    "simple": 60605.09947616227,
    "complex": 136076.71156919556,
    "square": 923243.6606947186,
    "bottleneck": 1459.7916740699075,
}


def test_batch_norm_is_off_unless_asked_for():
    assert not any(isinstance(part, nn.BatchNorm2d) for part in tiny("vone").modules())
    options = FrontendOptions(simple_channels=9, complex_channels=7, batch_norm=True)
    assert isinstance(tiny("vone", options=options).conv.batch_norm, nn.BatchNorm2d)


def test_noise_can_be_gaussian_or_left_out():
    gaussian = FrontendOptions(simple_channels=9, complex_channels=7, noise="gaussian", gaussian_std=2.0)
    assert tiny("vone", options=gaussian).conv.block.noise.std == 2.0
    none = FrontendOptions(simple_channels=9, complex_channels=7, noise="none")
    assert not frontends.is_stochastic(tiny("vone", options=none))
    assert not frontends.is_stochastic(tiny("random", options=none))


def test_a_coarser_bank_still_gives_the_stems_size():
    architecture = architectures.get("vgg16")
    network = architectures.build("vgg16", num_classes=4, image_size=64, width=0.25).eval()
    options = FrontendOptions(simple_channels=9, complex_channels=7, minimum_stride=4)
    frontends.install(network, architecture, "gabor", image_size=64, seed=0, options=options)
    front_end = network.get_submodule(architecture.stem.modules[0])
    assert front_end.block.geometry == ((4, 0, 16), (4, 0, 16))
    assert output_of(network, architecture.stages["stem"], images(1, 64)).shape == (1, 16, 64, 64)


@pytest.mark.parametrize(
    ("extent", "count", "stride", "first"),
    [(224, 56, 4, 0), (64, 16, 4, 0), (64, 32, 2, 0), (32, 28, 1, 2), (227, 55, 4, 5), (64, 31, 2, 1)],
)
def test_positions_are_published_or_centred(extent, count, stride, first):
    assert placement(extent, count, stride) == first


def test_a_frequency_too_high_for_the_image_is_refused_at_installation():
    with pytest.raises(UserError, match="above the limit"):
        tiny("vone", options=FrontendOptions(visual_degrees=4.0))


def test_filters_that_a_fused_optimiser_changed_are_seen_in_evaluation():
    network = tiny("gabor_trained")
    images_ = images(4)
    filters = network.conv.block.filters
    optimiser = torch.optim.AdamW([filters], lr=0.01, fused=True)
    with torch.no_grad(), noise(network, "off"):
        before = network.eval()(images_)
    network.train()
    with noise(network, "off"):
        network(images_).square().sum().backward()
    optimiser.step()
    with torch.no_grad(), noise(network, "off"):
        after = network.eval()(images_)
        network.conv.block.method = "direct"
        expected = network(images_)
    assert not torch.allclose(before, after, atol=1e-3)
    torch.testing.assert_close(after, expected, atol=1e-4, rtol=1e-4)


def test_batch_norm_before_a_network_that_organises_itself_is_refused():
    options = FrontendOptions(simple_channels=9, complex_channels=7, batch_norm=True)
    network = architectures.build("neocognitron", num_classes=10, image_size=64)
    with pytest.raises(UserError, match="batch_norm: neocognitron organises itself"):
        frontends.install(
            network, architectures.get("neocognitron"), "vone", image_size=64, seed=0, options=options
        )


@pytest.mark.parametrize(
    ("name", "halves"), [("resnet18", 8), ("efficientnet_b0", 16), ("nasnet_a_mobile", 15)]
)
def test_images_of_half_the_size_meet_the_same_filters_and_half_the_map(name: str, halves: int):
    """Away from the border the V1 cells answer to a smaller image as to the same pixels in a larger one."""
    architecture = architectures.get(name)
    network = architectures.build(name, num_classes=4, image_size=64, width=0.25).eval()
    options = FrontendOptions(simple_channels=9, complex_channels=7, minimum_stride=4)
    frontends.install(network, architecture, "gabor", image_size=64, seed=0, options=options)
    block = network.get_submodule(architecture.stem.modules[0]).block
    large = torch.zeros(2, 3, 64, 64)
    large[:, :, :32, :32] = images(2, 32)
    small = block(large[:, :, :32, :32])
    assert small.shape == (2, 16, 8, 8)
    torch.testing.assert_close(small, block(large)[:, :, :8, :8], atol=1e-4, rtol=1e-4)
    block.method = "direct"
    torch.testing.assert_close(block(large[:, :, :32, :32]), small, atol=1e-4, rtol=1e-4)
    assert output_of(network, architecture.stem.modules[-1], images(1, 32)).shape[-2:] == (halves, halves)
