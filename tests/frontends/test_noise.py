"""The noise's statistics and gradient, its modes, and that every mode ends where it began."""

from __future__ import annotations

import pytest
import torch
from frontend_tools import images, tiny
from scipy import stats
from torch import Tensor

from robustness.errors import UserError
from robustness.frontends import draws, is_stochastic, names, noise, sample_noise
from robustness.frontends.blocks.noise import Noise, NoiseControl
from robustness.frontends.blocks.normal import standard_normal


@pytest.fixture
def net() -> torch.nn.Module:
    return tiny("vone")


def module_of(net: torch.nn.Module) -> Noise:
    return next(part for part in net.modules() if isinstance(part, Noise))


def published(x: Tensor, z: Tensor) -> Tensor:
    """The noise as the paper's text has it, step by step."""
    x = 0.35 * x + 0.07
    x = x + z * torch.sqrt(torch.relu(x) + 1e-4)
    return torch.relu((x - 0.07) / 0.35)


def test_standard_normal_numbers_are_normal_and_independent():
    numbers = standard_normal(600_001, 11)
    assert numbers.shape == (600_001,)
    assert stats.kstest(numbers.numpy(), "norm").pvalue > 0.001
    assert numbers.var().item() == pytest.approx(1, abs=3.3 * (2 / 600_001) ** 0.5)
    pairs = [numbers[:-lag] * numbers[lag:] for lag in (1, 2, 3, 4, 8, 2**18)]
    for products in pairs:
        assert abs(products.mean().item()) < 3.9 / len(products) ** 0.5
    assert torch.equal(numbers[:1000], standard_normal(1000, 11))
    assert not torch.equal(numbers[:1000], standard_normal(1000, 12))


def test_standard_normal_numbers_of_a_seed_are_the_same_on_every_machine():
    numbers = standard_normal(100_000, 7).double()
    assert numbers[:4].tolist() == pytest.approx([-0.3309, 2.0101, -0.1331, -1.7076], abs=1e-4)
    assert numbers.sum().item() == pytest.approx(324.8082, abs=1e-3)
    assert numbers.square().sum().item() == pytest.approx(100675.7227, abs=1e-2)


@pytest.mark.parametrize("mode", ["live", "frozen", "sample"])
def test_neuronal_noise_is_the_published_one(mode):
    module = Noise("neuronal")
    module.control = NoiseControl(mode=mode, seed=3, sample_seeds=tuple(range(8)), draws=2)
    clean = torch.rand(8, 5, 6, 7, generator=torch.Generator().manual_seed(0)) * 4
    torch.manual_seed(2)
    noisy = module(clean).view(2, *clean.shape)
    torch.manual_seed(2)
    fields = torch.zeros_like(noisy)
    for group, pieces in module.fields(clean):
        for draw, part, numbers in pieces:
            fields[draw, group][part] = numbers
    assert torch.allclose(noisy, published(clean, fields), atol=1e-5)


def test_noise_at_a_response_has_the_published_mean_and_variance():
    module = Noise("neuronal", rectify=False)
    for level in (0.0, 1.0, 20.0):
        noisy = module(torch.full((4, 50, 50, 50), level))
        expected = (0.35 * level + 0.07 + 1e-4) / 0.35**2
        assert noisy.var().item() == pytest.approx(expected, rel=3.3 * (2 / noisy.numel()) ** 0.5)
        assert noisy.mean().item() == pytest.approx(level, abs=3.3 * (expected / noisy.numel()) ** 0.5)


def test_gaussian_noise_has_one_variance():
    module = Noise("gaussian", std=0.5, rectify=False)
    noisy = module(torch.cat([torch.zeros(2, 50, 50, 50), torch.full((2, 50, 50, 50), 30.0)]))
    assert noisy[:2].std().item() == pytest.approx(0.5, rel=0.01)
    assert noisy[2:].std().item() == pytest.approx(0.5, rel=0.01)
    assert (Noise("gaussian")(torch.zeros(1, 9, 9, 9)) >= 0).all()


def test_draws_of_an_image_and_images_of_a_draw_are_independent():
    module = Noise("gaussian", rectify=False)
    module.control = NoiseControl(draws=7)
    for count in (3, 20):  # fewer images than draws, and more
        noisy = module(torch.zeros(count, 10, 40, 40)).view(7, count, -1).double()
        for other in range(1, 7):
            for i in range(count):
                assert abs(torch.corrcoef(noisy[[0, other], i])[0, 1].item()) < 4.5 / 16_000**0.5
        for other in range(1, count):
            assert abs(torch.corrcoef(noisy[1, [0, other]])[0, 1].item()) < 4.5 / 16_000**0.5


@pytest.mark.parametrize("kind", ["neuronal", "gaussian"])
@pytest.mark.parametrize("rectify", [True, False])
def test_gradient_is_that_of_the_formula_summed_over_draws(kind, rectify):
    module = Noise(kind, rectify=rectify)
    module.control = NoiseControl(mode="frozen", seed=4, draws=3)
    clean = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).mul_(3).requires_grad_()
    weights = torch.randn(6, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    (module(clean) * weights).sum().backward()
    got, clean.grad = clean.grad, None
    total = torch.zeros(())
    for draw, part in enumerate(weights.split(2)):
        z = module._frozen_field(clean.detach(), 4 + draw)
        spread = (torch.relu(0.35 * clean + 0.07) + 1e-4).sqrt() / 0.35 if kind == "neuronal" else 1.0
        noisy = clean + z * spread
        total = total + ((noisy.relu() if rectify else noisy) * part).sum()
    total.backward()
    assert torch.allclose(got, clean.grad, rtol=1e-3, atol=1e-4)


def test_stochastic_is_what_has_noise():
    silent = {"learned", "gabor", "learned_coarse", "push_pull", "scattering", "blurred"}
    expected = {name: name not in silent for name in names()}
    assert {name: is_stochastic(tiny(name)) for name in expected} == expected
    with noise(net := tiny("vone"), "off"):
        assert is_stochastic(net)


def test_live_noise_is_new_every_time_and_repeats_with_torchs_seed(net):
    x = images(2)
    assert not torch.equal(net(x), net(x))
    torch.manual_seed(5)
    first = net(x)
    torch.manual_seed(5)
    assert torch.equal(first, net(x))
    assert not torch.allclose(first[0], net(x[:1].expand(2, -1, -1, -1))[1])


def test_noise_is_on_in_training_and_in_evaluation(net):
    x = images(1)
    for part in (net.train(), net.eval()):
        assert not torch.equal(part(x), part(x))


def test_frozen_noise_is_one_field_for_all_samples_calls_and_copies(net):
    x = images(1).expand(3, -1, -1, -1)
    for seed in (0, 7):
        with noise(net, "frozen", seed=seed):
            first = net(x)
            assert torch.equal(first, net(x))
            assert torch.allclose(first[0], first[2], atol=1e-5)
        with noise(copy := tiny("vone"), "frozen", seed=seed):
            assert torch.equal(first, copy(x))
    with noise(net, "frozen", seed=1):
        assert not torch.allclose(net(x), first)


def test_noise_off_is_the_bank_without_noise(net):
    x = images(2)
    with noise(net, "off"):
        assert torch.allclose(net(x), tiny("gabor")(x), atol=1e-5)
        with draws(net, 3):
            assert torch.allclose(net(x).view(3, 2, -1), net(x).view(3, 2, -1)[:1].expand(3, -1, -1))


def test_sample_noise_belongs_to_the_sample_not_to_the_batch(net):
    x = images(4)
    with sample_noise(net, torch.tensor([3, 5, 7, 9])):
        together = net(x)
        assert torch.equal(together, net(x))
    with sample_noise(net, [9, 5]):
        apart = net(x[[3, 1]])
    assert torch.allclose(together[[3, 1]], apart, atol=1e-5)
    with sample_noise(net, [5, 5]), pytest.raises(ValueError, match="2 seeds for a batch of 4"):
        net(x)


def test_draws_equal_a_loop_over_the_seeds(net):
    x = images(3)
    with draws(net, 4), noise(net, "frozen", seed=10):
        together = net(x).view(4, 3, -1)
    for j in range(4):
        with noise(net, "frozen", seed=10 + j):
            assert torch.allclose(together[j], net(x), atol=1e-5)
    with draws(net, 4), sample_noise(net, [1, 2, 3]):
        of_samples = net(x).view(4, 3, -1)
    for i in range(3):
        with draws(net, 2), sample_noise(net, [i + 1]):
            assert torch.allclose(of_samples[:2, i : i + 1], net(x[i : i + 1]).view(2, 1, -1), atol=1e-5)


def test_gradient_over_draws_is_the_mean_of_the_gradients(net):
    """Expectation over the noise: k draws with one pass through the filters give the gradient of a loop."""
    x = images(2).requires_grad_()
    with draws(net, 5), noise(net, "frozen", seed=0):
        (together,) = torch.autograd.grad(net(x).view(5, 2, -1)[:, :, 0].mean(0).sum(), x)
    total = torch.zeros_like(x)
    for seed in range(5):
        with noise(net, "frozen", seed=seed):
            total += torch.autograd.grad(net(x)[:, 0].sum() / 5, x)[0]
    assert torch.allclose(together, total, rtol=1e-3, atol=1e-4 * total.abs().max().item())


def test_the_filters_run_once_for_all_draws(net):
    calls = []
    block = net.conv.block
    respond = block.respond
    block.respond = lambda x: calls.append(len(x)) or respond(x)
    with draws(net, 6):
        assert net(images(2)).shape == (12, 5)
    assert calls == [2]


def test_deterministic_models_are_left_alone():
    for name in ("learned", "gabor"):
        net, x = tiny(name), images(2)
        expected = net(x)
        with draws(net, 5), noise(net, "frozen", seed=1), sample_noise(net, [1, 2]):
            assert torch.equal(net(x), expected)


def test_everything_is_restored_also_after_an_exception(net):
    module = module_of(net)

    def fails() -> None:
        with noise(net, "frozen", seed=4), draws(net, 2), sample_noise(net, [1]):
            assert module.control == NoiseControl("sample", 4, (1,), 2)
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fails()
    assert module.control == NoiseControl()
    with noise(net, "frozen", seed=4):
        with noise(net, "live"):
            assert module.control.mode == "live"
        assert module.control == NoiseControl("frozen", 4)


def test_wrong_modes_and_counts_are_refused(net):
    with (
        pytest.raises(UserError, match="noise mode 'loud' is unknown; use live, frozen, off"),
        noise(net, "loud"),
    ):
        pass
    with pytest.raises(ValueError, match="at least one draw"), draws(net, 0):
        pass
