"""Which pixels a class score is attributed to, by seven methods, and how much of that lies inside a mask.

All by Captum but SmoothGrad's average. Maps (N, H, W) are not negative: of signed gradients the largest
absolute value over the colours; of products with the input the positive part of the sum over the colours.
Noise must be frozen (``probing``): else the path of integrated gradients and SmoothGrad's average would mix
samples of it.
"""

from __future__ import annotations

import warnings
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from robustness import seeds
from robustness.probes.layers import as_maps, fitting, get_module, stage_paths
from robustness.probes.layers import features as layer_features

METHODS = (
    "gradient", "deconvolution", "guided", "gradient_input", "integrated", "smoothgrad", "grad_cam",
)  # fmt: skip
SIGNED = ("gradient_input", "integrated")
"""Those whose sum over a part of the image tells whether it speaks for the class or against it."""
BASELINE = 0.5
"""The grey that integrated gradients start from, and that deletion leaves: with black, black pixels get 0."""
PATH_STEPS = 24
"""Of integrated gradients, by the Gauss–Legendre rule."""
NOISY_COPIES, NOISE = 12, 0.15
"""Of SmoothGrad (Smilkov et al. 2017): copies, and their noise's standard deviation in shares of an image's
range."""
LEAST_GRID = 8
"""Grad-CAM looks at the deepest stage with a map of so many rows, or with the most there are."""
TOLERANCE = 15 / 224
"""Of the pointing game, in shares of the image's side (J. Zhang et al., IJCV 2018: 15 pixels)."""


def attributions(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    methods: tuple[str, ...] = METHODS,
    seed: int = 0,
    batch: int = 128,
) -> dict[str, Tensor]:
    """Maps (N, H, W) ≥ 0 of the scores of ``labels`` (N,) by method; images (N, 3, H, W) in [0, 1]."""
    from captum.attr import Deconvolution, GuidedBackprop, InputXGradient, Saliency

    x, batch = images.clone().requires_grad_(), fitting(batch, images)
    makers = {
        "gradient": lambda: _strength(Saliency(model).attribute(x, target=labels)),
        "deconvolution": lambda: _strength(Deconvolution(model).attribute(x, target=labels)),
        "guided": lambda: _strength(GuidedBackprop(model).attribute(x, target=labels)),
        "gradient_input": lambda: positive(InputXGradient(model).attribute(x, target=labels)),
        "integrated": lambda: positive(integrated_gradients(model, images, labels, batch)),
        "smoothgrad": lambda: _strength(_smooth(model, images, labels, seed)),
        "grad_cam": lambda: _grad_cam(model, images, labels),
    }
    found = {}
    for method in methods:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")  # captum announces its hooks
            found[method] = makers[method]().detach()
    return found


def _strength(attribution: Tensor) -> Tensor:
    return attribution.abs().amax(1)


def positive(attribution: Tensor) -> Tensor:
    """The map (N, H, W) of a signed attribution (N, 3, H, W): its positive sums over the colours."""
    return attribution.sum(1).clamp_min(0)


def signed(model: nn.Module, images: Tensor, labels: Tensor, batch: int = 128) -> dict[str, Tensor]:
    """Maps (N, H, W) of the methods of ``SIGNED`` before their negative parts are cut off."""
    from captum.attr import InputXGradient

    x = images.clone().requires_grad_()
    with torch.enable_grad():
        product = InputXGradient(model).attribute(x, target=labels).detach()
        along = integrated_gradients(model, images, labels, fitting(batch, images)).detach()
    return {"gradient_input": product.sum(1), "integrated": along.sum(1)}


def integrated_gradients(model: nn.Module, images: Tensor, labels: Tensor, batch: int = 128) -> Tensor:
    """Signed attributions (N, 3, H, W) from grey to the image (M. Sundararajan, A. Taly, Q. Yan, ICML 2017);
    their sum is the difference of the class score between the two."""
    from captum.attr import IntegratedGradients

    base = torch.full_like(images, BASELINE)
    options = {"n_steps": PATH_STEPS, "method": "gausslegendre", "internal_batch_size": batch}
    return IntegratedGradients(model).attribute(images, base, target=labels, **options)


@torch.no_grad()
def completeness_error(model: nn.Module, images: Tensor, labels: Tensor, attribution: Tensor) -> Tensor:
    """|Σ attribution − ΔF|/|ΔF| (N,) of integrated gradients: how far the path's steps were too few."""
    index = torch.arange(len(images), device=images.device)
    change = model(images)[index, labels] - model(torch.full_like(images, BASELINE))[index, labels]
    return (attribution.flatten(1).sum(1) - change).abs() / change.abs().clamp_min(1e-12)


def _smooth(model: nn.Module, images: Tensor, labels: Tensor, seed: int) -> Tensor:
    """The mean gradient over noisy copies of each image."""
    from captum.attr import Saliency

    reach = NOISE * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
    total = torch.zeros_like(images)
    for copy in range(NOISY_COPIES):
        generator = seeds.torch_generator(seed, "smoothgrad", copy)
        noise = torch.randn(images.shape, generator=generator).to(images)
        noisy = (images + reach * noise).requires_grad_()
        total += Saliency(model).attribute(noisy, target=labels, abs=False).detach()
    return total / NOISY_COPIES


def grid_stage(model: nn.Module, image: Tensor) -> tuple[str, int]:
    """(Path, rows) of the stage that Grad-CAM looks at, for images like ``image`` (1, 3, H, W)."""
    maps = layer_features(model, stage_paths(model), image)
    rows = {name: as_maps(value).shape[2] for name, value in maps.items()}
    enough = [name for name, count in rows.items() if count >= LEAST_GRID]
    name = enough[-1] if enough else max(rows, key=lambda each: rows[each])
    return stage_paths(model)[name], rows[name]


def _grad_cam(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """R. Selvaraju et al., ICCV 2017, enlarged bilinearly."""
    from captum.attr import LayerGradCam

    path, _ = grid_stage(model, images[:1])
    coarse = LayerGradCam(model, get_module(model, path)).attribute(
        images.clone().requires_grad_(), target=labels, relu_attributions=True
    )
    return functional.interpolate(as_maps(coarse), images.shape[-2:], mode="bilinear")[:, 0]


def with_random_weights(model: nn.Module, seed: int) -> nn.Module:
    """A copy of the model with the entries of every trained kernel in random order: the fully randomised
    model of J. Adebayo et al. (Sanity Checks for Saliency Maps, NeurIPS 2018), weights as large as before.
    Fixed filter banks and the statistics of batch normalisation stay."""
    other = deepcopy(model)
    generator = seeds.torch_generator(seed, "random weights")
    with torch.no_grad():
        for parameter in other.parameters():
            if parameter.dim() > 1:
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return other


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's correlation of maps (N, H, W), pixel by pixel, tied ranks averaged: (N,); NaN for a flat
    map."""
    from scipy.stats import rankdata

    ranks = [rankdata(maps.flatten(1).cpu().numpy(), axis=1) for maps in (a, b)]
    x, y = (torch.from_numpy(each - each.mean(1, keepdims=True)) for each in ranks)
    size = x.norm(dim=1) * y.norm(dim=1)
    return torch.where(size > 0, (x * y).sum(1) / size, torch.nan)


def relevance_mass(maps: Tensor, masks: Tensor) -> Tensor:
    """The share of a map's sum inside the mask (L. Arras, A. Osman, W. Samek, Information Fusion 2022): (N,).

    Chance is the mask's share of the image; NaN for an empty mask or map. Masks (N, H, W) bool.
    """
    total, inside = maps.flatten(1).sum(1), (maps * masks).flatten(1).sum(1)
    return torch.where(masks.flatten(1).any(1) & (total > 0), inside / total, torch.nan)


def relevance_rank(maps: Tensor, masks: Tensor) -> Tensor:
    """The share of the K highest pixels inside the mask, of K pixels (same paper): (N,).

    Pixels of equal relevance share the places that are left for them. NaN for an empty mask.
    """
    scores = []
    for values, mask in zip(maps.flatten(1), masks.flatten(1), strict=True):
        count = int(mask.sum())
        if count == 0:
            scores.append(torch.nan)
            continue
        least = values.topk(count).values[-1]
        above, tied = values > least, values == least
        left = count - int(above.sum())
        inside = int((above & mask).sum()) + left * float((tied & mask).sum()) / float(tied.sum())
        scores.append(inside / count)
    return torch.tensor(scores)


def pointing_game(maps: Tensor, masks: Tensor) -> Tensor:
    """Whether the highest pixel lies on the mask or within ``TOLERANCE`` of it (N,); of several the share
    that do. NaN for an empty mask or map."""
    reach = round(TOLERANCE * maps.shape[-1])
    near = functional.max_pool2d(masks[:, None].float(), 2 * reach + 1, 1, reach)[:, 0] > 0
    highest = maps == maps.amax((1, 2), keepdim=True)
    share = (highest & near).flatten(1).sum(1) / highest.flatten(1).sum(1)
    known = masks.flatten(1).any(1) & (maps.flatten(1).amax(1) > 0)
    return torch.where(known, share, torch.nan)


def at_grid(masks: Tensor, rows: int) -> Tensor:
    """Masks (N, H, W) averaged to a grid of so many rows and enlarged again: the best map of that grid."""
    coarse = functional.adaptive_avg_pool2d(masks[:, None].float(), rows)
    return functional.interpolate(coarse, masks.shape[-2:], mode="bilinear")[:, 0]


def numbers_of(maps: Tensor, masks: Tensor) -> dict[str, np.ndarray]:
    """``mass``, ``rank`` and ``pointing`` (N,) of maps against masks (N, H, W) bool."""
    maps, masks = maps.detach().cpu(), masks.cpu()
    return {"mass": relevance_mass(maps, masks).numpy(), "rank": relevance_rank(maps, masks).numpy(),
            "pointing": pointing_game(maps, masks).numpy()}  # fmt: skip
