"""Attribution: which pixels carry the answer, tried by deletion and insertion, and judged by exact masks.

The methods are those of ``attribution``. Deletion and insertion are those of RISE (V. Petsiuk, A. Das,
K. Saenko, BMVC 2018); relevance mass and rank those of L. Arras, A. Osman and W. Samek (Information Fusion
2022). Where a scene is known without what clutters it, maps are held against ``interventions``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from robustness import seeds
from robustness.data.image_set import DISTRACTOR, TARGET
from robustness.probes import attribution, interventions
from robustness.probes.attribution import attributions
from robustness.probes.layers import LOGITS, device_of, fitting, probing, relative_depths
from robustness.probes.occlusion import examples
from robustness.probes.registry import register
from robustness.probes.regularisers import gaussian_blur
from robustness.probes.result import ProbeResult, Progress, Rows, to_numpy

NAME = "saliency"
PERTURBATIONS, PERTURBATION_RADIUS = 4, 0.02
IN_SCENES = ("gradient", "integrated", "grad_cam")
"""The methods that are tried on images of other conditions too."""
SANITY = ("gradient", "guided", "grad_cam")
"""The methods whose maps are compared with those of random weights: two that depend on what was learned, and
guided back-propagation, which is known to depend on it little."""


class Scenes(NamedTuple):
    """Images (N, 3, H, W), labels (N,), masks uint8 (N, H, W) with the values of ``image_set``; ``twins``
    (N, 3, H, W): the same without distractors, where these are all that was added."""

    images: Tensor
    labels: Tensor
    masks: Tensor
    twins: Tensor | None = None


@register("saliency")
def run(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    seed: int = 0,
    count: int = 8,
    steps: int = 16,
    smoothing: float = 1.5,
    batch: int = 128,
    masks: Tensor | None = None,
    scenes: Mapping[str, Scenes] | None = None,
    progress: Progress | None = None,
) -> ProbeResult:
    """Attribution maps of ``count`` images (N, 3, H, W), correct ones of different classes first.

    ``steps``: in how many parts the pixels are deleted or inserted; ``smoothing``: σ in pixels of the blur of
    the maps before pixels are ranked. ``masks``: those of the images, uint8 (N, H, W) with the values of
    ``image_set``; ``scenes``: condition → images, labels, masks, and scenes without distractors.

    Rows at layer ``logits``, one per image and the mean, for the methods of ``attribution`` and the control
    ``random``: ``<method>/deletion`` and ``<method>/insertion``, the area under the curve of the class's
    probability, in [0, 1], while the most salient pixels are made grey (low is good) or are inserted into a
    blurred image (high is good). ``gradient/sensitivity``: the largest relative change of the map under
    uniform noise up to 0.02 (C.-K. Yeh et al., NeurIPS 2019). ``gradient/concentration``: the share of the
    map's sum in its top tenth of pixels. ``integrated/completeness_error``: see ``attribution``.

    ``<method>/randomised``: Spearman's correlation of a map with that of the same network with random
    weights, beside ``<method>/other_image``, that of the maps of two images: where the first is higher, a map
    tells of the image and not of what was learned.

    With masks ``<method>/mass``, ``…/rank`` and ``…/pointing``: what of the map lies on the object, beside
    ``mask_area``, chance, the object's share of the image, and ``grad_cam/ceiling_mass``, what the best map
    of Grad-CAM's grid (``grad_cam/grid`` rows) could have. In a scene the same under ``<condition>/``, and
    ``…/distractor_mass``, what lies on what clutters.

    Where scenes are known without distractors, all of them count, and under ``<condition>/`` stand
    ``object_effect`` and ``distractor_effect``, what the object, and each distractor in the mean, adds to the
    label's logit; ``distractor_share``, that of the distractors in the sum of the effects' sizes; and
    ``<method>/effect_rank``, Spearman's correlation over the parts of a scene between a map's sum on a part
    and the part's effect: the effect itself for the methods of ``attribution.SIGNED``, with their negative
    parts, its size for the others. Controls: ``area/effect_rank`` and ``area/signed_effect_rank``, those of a
    flat map.

    Arrays: ``images`` uint8 (I, 3, H, W), ``labels``, ``<method>/maps`` (I, H, W) of unit maximum,
    ``<method>/deletion`` and ``<method>/insertion`` (I, steps + 1), ``rectifiers`` (0: the network has no
    ReLU, and deconvnet and guided back-propagation are the plain gradient).
    """
    device = device_of(model)
    with probing(model, seed=seed):
        rows = Rows(NAME, relative_depths(model, {LOGITS: ""}, images[:1]))
        chosen = examples(model, images, labels, count, batch)
        shown, truth = images[chosen].to(device), labels[chosen].to(device)
        others = tuple(method for method in attribution.METHODS if method != "integrated")
        maps = attributions(model, shown, truth, methods=others, seed=seed, batch=batch)
        signed = attribution.integrated_gradients(model, shown, truth, fitting(batch, shown))
        error = attribution.completeness_error(model, shown, truth, signed.detach())
        rows.add_units(LOGITS, "integrated/completeness_error", to_numpy(error))
        maps["integrated"] = attribution.positive(signed.detach())  # its path is not walked twice
        generator = seeds.torch_generator(seed, NAME, "random")
        maps["random"] = torch.rand(len(shown), *shown.shape[2:], generator=generator).to(device)
        arrays = {
            "images": (to_numpy(shown) * 255).round().astype(np.uint8),
            "labels": to_numpy(truth),
            "rectifiers": np.array(sum(isinstance(m, nn.ReLU) for m in model.modules())),
        }
        for number, (method, values) in enumerate(maps.items()):
            ranked = values if method == "random" else gaussian_blur(values[:, None], smoothing)[:, 0]
            for kind in ("deletion", "insertion"):
                curve = to_numpy(erase(model, shown, truth, ranked, kind, steps, batch))
                arrays[f"{method}/{kind}"] = curve
                rows.add_units(LOGITS, f"{method}/{kind}", (curve[:, 1:] + curve[:, :-1]).mean(1) / 2)
            if method != "random":
                scale = values.amax((1, 2), keepdim=True).clamp_min(1e-20)
                arrays[f"{method}/maps"] = to_numpy(values / scale).astype(np.float16)
            if progress:
                progress("deletion and insertion", number + 1, len(maps))
        _add_randomised(rows, model, shown, truth, maps, seed, batch)
        plain = to_numpy(maps["gradient"]).reshape(len(shown), -1)
        top = np.sort(plain, 1)[:, -max(1, plain.shape[1] // 10) :].sum(1)
        rows.add_units(LOGITS, "gradient/concentration", top / np.maximum(plain.sum(1), 1e-20))
        rows.add_units(LOGITS, "gradient/sensitivity", to_numpy(_sensitivity(model, shown, truth, seed)))
        if masks is not None:
            _add_on_object(rows, maps, masks[chosen] == TARGET, attribution.grid_stage(model, shown[:1])[1])
        for condition, scene in (scenes or {}).items():
            _add_scene(rows, model, condition.replace("/", "_"), scene, count, seed, batch)
    return ProbeResult(NAME, rows.table(), arrays)


def _add_randomised(
    rows: Rows,
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    maps: Mapping[str, Tensor],
    seed: int,
    batch: int,
) -> None:
    with probing(attribution.with_random_weights(model, seed), seed=seed) as other:
        found = attributions(other, images, labels, methods=SANITY, seed=seed, batch=batch)
    for method, values in found.items():
        own = maps[method]
        rows.add_units(LOGITS, f"{method}/randomised", to_numpy(attribution.rank_correlation(own, values)))
        if len(own) > 1:
            apart = attribution.rank_correlation(own, own.roll(1, 0))
            rows.add_units(LOGITS, f"{method}/other_image", to_numpy(apart))


def _add_on_object(rows: Rows, maps: Mapping[str, Tensor], on_object: Tensor, grid: int) -> None:
    rows.add_units(LOGITS, "mask_area", to_numpy(on_object.float().mean((1, 2))))
    for method, values in maps.items():
        for metric, numbers in attribution.numbers_of(values, on_object).items():
            rows.add_units(LOGITS, f"{method}/{metric}", numbers)
    best = attribution.at_grid(on_object, grid)
    rows.add_units(LOGITS, "grad_cam/ceiling_mass", to_numpy(attribution.relevance_mass(best, on_object)))
    rows.add(LOGITS, "grad_cam/grid", grid)


def _add_scene(
    rows: Rows, model: nn.Module, condition: str, scenes: Scenes, count: int, seed: int, batch: int
) -> None:
    images, labels, masks, twins = scenes
    if twins is None:
        chosen = examples(model, images, labels, count, batch)
        images, labels, masks = images[chosen], labels[chosen], masks[chosen]
    device = device_of(model)
    shown, truth, masks = images.to(device), labels.to(device), masks.cpu()
    rows.add_units(LOGITS, f"{condition}/mask_area", to_numpy((masks == TARGET).float().mean((1, 2))))
    if twins is None:
        maps = attributions(model, shown, truth, methods=IN_SCENES, seed=seed, batch=batch)
    else:
        others = tuple(method for method in attribution.METHODS if method not in attribution.SIGNED)
        maps = attributions(model, shown, truth, methods=others, seed=seed, batch=batch)
        signed = attribution.signed(model, shown, truth, batch)
        _add_effects(rows, model, condition, scenes, maps | signed, batch)
        maps |= {method: values.clamp_min(0) for method, values in signed.items()}
    for method in IN_SCENES:
        for metric, numbers in attribution.numbers_of(maps[method], masks == TARGET).items():
            rows.add_units(LOGITS, f"{condition}/{method}/{metric}", numbers)
        if (masks == DISTRACTOR).any():
            on_others = attribution.relevance_mass(maps[method].cpu(), masks == DISTRACTOR)
            rows.add_units(LOGITS, f"{condition}/{method}/distractor_mass", to_numpy(on_others))


def _add_effects(
    rows: Rows, model: nn.Module, condition: str, scenes: Scenes, maps: Mapping[str, Tensor], batch: int
) -> None:
    device, count = device_of(model), len(scenes.images)
    images, labels, twins = (each.to(device) for each in (scenes.images, scenes.labels, scenes.twins))
    found = interventions.parts(scenes.masks)
    _, owners, is_object = found
    changes = interventions.effects(model, images, labels, scenes.masks, twins, found, fitting(batch, images))
    for name, which in (("object_effect", is_object), ("distractor_effect", ~is_object)):
        means = [changes[which & (owners == scene)].mean() for scene in range(count)]
        rows.add_units(LOGITS, f"{condition}/{name}", np.array(means))
    share = interventions.share_of_distractors(changes, owners, is_object, count)
    rows.add_units(LOGITS, f"{condition}/distractor_share", share)
    flat = torch.ones(count, *images.shape[2:])
    tried = [
        (f"{method}/effect_rank", values, method in attribution.SIGNED) for method, values in maps.items()
    ]
    tried += [("area/effect_rank", flat, False), ("area/signed_effect_rank", flat, True)]
    for metric, values, with_sign in tried:
        effect = changes if with_sign else changes.abs()
        agreement = interventions.agreement(interventions.relevance(values, found), effect, owners, count)
        rows.add_units(LOGITS, f"{condition}/{metric}", agreement)


@torch.no_grad()
def erase(
    model: nn.Module, images: Tensor, labels: Tensor, maps: Tensor, kind: str, steps: int, batch: int
) -> Tensor:
    """The class's probability (N, steps + 1) while pixels go in the order of the maps (N, H, W), largest
    first.

    ``deletion``: from the image to grey; ``insertion``: from the blurred image to the image.
    """
    count, _, height, width = images.shape
    other = torch.full_like(images, 0.5) if kind == "deletion" else gaussian_blur(images, height / 6)
    order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(dim=1).view(count, 1, height, width)
    limits = torch.linspace(0, height * width, steps + 1, device=images.device)
    frames = []
    for limit in limits:
        early = rank < limit
        before, after = (images, other) if kind == "deletion" else (other, images)
        frames.append(torch.where(early, after, before))
    flat = torch.cat(frames)
    probability = torch.cat([model(chunk).softmax(1) for chunk in flat.split(fitting(batch, flat))])
    owners = labels.repeat(steps + 1)
    return probability[torch.arange(len(flat), device=flat.device), owners].view(steps + 1, count).T


def _sensitivity(model: nn.Module, images: Tensor, labels: Tensor, seed: int) -> Tensor:
    """max over draws of ‖map(x + δ) − map(x)‖/‖map(x)‖ (N,), δ uniform in ±``PERTURBATION_RADIUS``."""
    from captum.attr import Saliency

    def gradient(x: Tensor) -> Tensor:
        with torch.enable_grad():
            target = labels.repeat(len(x) // len(labels))
            maps = Saliency(model).attribute(x.clone().requires_grad_(), target=target)
        return maps.detach().flatten(1)

    plain = gradient(images)
    generator = seeds.torch_generator(seed, NAME, "sensitivity")
    noise = (2 * torch.rand(PERTURBATIONS, *images.shape, generator=generator) - 1).to(images)
    noisy = (images[None] + noise * PERTURBATION_RADIUS).flatten(0, 1)
    moved = gradient(noisy).view(PERTURBATIONS, *plain.shape)
    return ((moved - plain).norm(dim=2) / plain.norm(dim=1).clamp_min(1e-20)).amax(0)
