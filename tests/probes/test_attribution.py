"""Attribution where the answer is known: a linear score; the mask as map, a flat map, an empty mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustness.probes import attribution
from robustness.probes.attribution import attributions, completeness_error, integrated_gradients, numbers_of
from robustness.probes.layers import probing


class Sum(nn.Module):
    """Class 1 scores the weighted sum of 16 × 16 maps, of which there are as many as colours."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.maps = nn.Identity()
        self.pooled = nn.AvgPool2d(4)
        self.stages = {"stem": "maps", "late": "pooled"}

    def forward(self, x: Tensor) -> Tensor:
        maps = self.maps(x * self.weight)
        self.pooled(maps)
        score = maps.sum((1, 2, 3))
        return torch.stack([torch.zeros_like(score), score], 1)


@pytest.fixture
def linear() -> tuple[nn.Module, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(3, 16, 16, generator=generator)
    return Sum(weight), torch.rand(4, 3, 16, 16, generator=generator), torch.ones(4, dtype=torch.long)


def test_integrated_gradients_of_a_linear_score_are_the_weight_times_the_way(linear) -> None:
    model, images, labels = linear
    with probing(model, seed=0):
        found = integrated_gradients(model, images, labels)
        error = completeness_error(model, images, labels, found)
    torch.testing.assert_close(found.detach(), model.weight * (images - 0.5), atol=1e-5, rtol=1e-4)
    assert error.max() < 1e-3


def test_products_with_the_input_and_grad_cam_by_hand(linear) -> None:
    model, images, labels = linear
    with probing(model, seed=0):
        maps = attributions(model, images, labels, methods=("gradient_input", "grad_cam"))
        path, rows = attribution.grid_stage(model, images[:1])
    torch.testing.assert_close(maps["gradient_input"], (model.weight * images).sum(1).clamp_min(0).detach())
    assert (path, rows) == ("maps", 16)  # the deeper one has four rows only
    # Every place of every map has the gradient 1, so the weights are 1.
    torch.testing.assert_close(maps["grad_cam"], (model.weight * images).sum(1).clamp_min(0).detach())


def test_each_method_gives_a_map_that_is_not_negative(linear) -> None:
    model, images, labels = linear
    with probing(model, seed=0):
        maps = attributions(model, images, labels, seed=3)
        again = attributions(model, images, labels, seed=3)
    assert tuple(maps) == attribution.METHODS
    for method, values in maps.items():
        assert values.shape == (4, 16, 16)
        assert (values >= 0).all()
        assert torch.equal(values, again[method])


def test_the_mask_as_map_a_flat_map_and_what_lies_beside() -> None:
    masks = torch.zeros(4, 16, 16, dtype=torch.bool)
    masks[:3, 4:8, 4:12] = True  # an eighth of the image; the last mask is empty
    maps = torch.zeros(4, 16, 16)
    maps[0] = masks[0].float()
    maps[1] = 0.7
    maps[2, 12:, :] = torch.arange(1.0, 17.0)
    maps[3] = 1.0
    found = numbers_of(maps, masks)
    np.testing.assert_allclose(found["mass"], [1, 1 / 8, 0, np.nan], rtol=1e-6)
    np.testing.assert_allclose(found["rank"], [1, 1 / 8, 0, np.nan], rtol=1e-6)
    # Within one pixel of 16 (15 of 224): 6 × 10 pixels are near.
    np.testing.assert_allclose(found["pointing"], [1, 60 / 256, 0, np.nan], rtol=1e-6)
    assert np.isnan(numbers_of(torch.zeros(1, 16, 16), masks[:1])["mass"]).all()


def test_rank_by_hand() -> None:
    maps = torch.tensor([[[4.0, 3.0], [2.0, 1.0]]])
    masks = torch.tensor([[[True, False], [True, False]]])
    assert attribution.relevance_rank(maps, masks).tolist() == [0.5]  # of the two highest one is inside
    assert attribution.relevance_mass(maps, masks).tolist() == pytest.approx([0.6])


def test_the_best_map_of_a_grid_is_the_mask_where_it_fits() -> None:
    masks = torch.zeros(2, 16, 16, dtype=torch.bool)
    masks[0] = True
    masks[1, 6:10, 6:10] = True
    best = attribution.at_grid(masks, 4)
    mass = attribution.relevance_mass(best, masks)
    assert mass[0] == 1
    assert 0.1 < mass[1] < 0.6


def test_random_weights_are_the_trained_ones_in_another_order(small_net: nn.Module) -> None:
    other = attribution.with_random_weights(small_net, 1)
    for (name, before), after in zip(small_net.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(before.flatten().sort().values, after.flatten().sort().values)
        assert torch.equal(before, after) == (before.dim() < 2), name
    again = attribution.with_random_weights(small_net, 1)
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), again.parameters(), strict=True))


def test_rank_correlation_knows_order_alone() -> None:
    maps = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(attribution.rank_correlation(maps, maps**3).float(), torch.ones(3))
    torch.testing.assert_close(attribution.rank_correlation(maps, 1 - maps).float(), -torch.ones(3))
    assert attribution.rank_correlation(maps, maps.roll(1, 0)).abs().max() < 0.2
    assert attribution.rank_correlation(maps, torch.ones_like(maps)).isnan().all()


def test_the_map_of_a_network_that_looks_at_a_corner_moves_with_its_weights() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2, bias=False)).eval()
    net.stages = {}
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].weight.view(2, 3, 8, 8)[0, :, :3, :3] = 1 + torch.arange(27).view(3, 3, 3) / 27
    generator = torch.Generator().manual_seed(4)
    images, labels = torch.rand(4, 3, 8, 8, generator=generator), torch.zeros(4, dtype=torch.long)
    options = dict(methods=("gradient", "gradient_input"))
    own = attribution.attributions(net, images, labels, **options)
    random = attribution.attributions(attribution.with_random_weights(net, 0), images, labels, **options)
    assert attribution.rank_correlation(own["gradient"], random["gradient"]).abs().max() < 0.4
    assert (attribution.rank_correlation(own["gradient"], own["gradient_input"]) > 0.8).all()
