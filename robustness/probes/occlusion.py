"""Occlusion: a grey square slides over the image; the response of maps and of the class score.

M. D. Zeiler and R. Fergus (ECCV 2014): sections 4.2 (occlusion sensitivity) and 4.4 (correspondence). All
layers are read in one forward pass, all positions and images go through in batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn

from robustness import seeds
from robustness.errors import UserError
from robustness.probes.layers import (
    LOGITS,
    Tap,
    as_maps,
    device_of,
    fitting,
    probing,
    relative_depths,
    stage_paths,
)
from robustness.probes.registry import register
from robustness.probes.result import ProbeResult, Progress, Rows, finite_mean, to_numpy

NAME = "occlusion"
GROUP_SIZE = 5
"""Images per class in the correspondence analysis."""


def positions(height: int, width: int, side: int, step: int) -> list[tuple[int, int]]:
    """Top left corners of a square that slides over the image; the last row and column end at its edge."""
    rows = sorted({*range(0, height - side + 1, step), height - side})
    columns = sorted({*range(0, width - side + 1, step), width - side})
    return [(row, column) for row in rows for column in columns]


def occlude(images: Tensor, corners: Sequence[tuple[int, int]], side: int, grey: float = 0.5) -> Tensor:
    """Every image (N, C, H, W) with the square at every corner: (N, P, C, H, W)."""
    covered = images[:, None].repeat(1, len(corners), 1, 1, 1)
    for index, (top, left) in enumerate(corners):
        covered[:, index, :, top : top + side, left : left + side] = grey
    return covered


def half_area(drops: np.ndarray) -> float:
    """The smallest share of the positions that holds half of the sum of the positive drops; NaN if none is.

    Near 0: the response hangs on one place; 0.5: on all places alike.
    """
    positive = np.sort(np.clip(drops, 0, None).ravel())[::-1]
    if positive.sum() <= 0:
        return float("nan")
    reached = np.cumsum(positive) >= 0.5 * positive.sum() * (1 - 1e-9)
    return float((np.argmax(reached) + 1) / positive.size)


def gini(drops: np.ndarray) -> float:
    """The Gini coefficient of the positive drops in [0, 1): 0 = all places alike; NaN if nothing drops."""
    positive = np.sort(np.clip(drops, 0, None).ravel())
    if positive.sum() <= 0:
        return float("nan")
    rank = np.arange(1, positive.size + 1)
    size, total = positive.size, positive.sum()
    return float(2 * (rank * positive).sum() / (size * total) - (size + 1) / size)


def correspondence(differences: Tensor) -> float:
    """Δ = Σ_{i≠j} Hamming(sign ε_i, sign ε_j), normalised to [0, 1] by pairs and dimensions.

    ``differences``: ε_i = x_i − x̃_i of at least two images (n, …). 0: the covered part is represented alike
    in all images. Signs are −, 0 and +.
    """
    signs = torch.sign(differences.flatten(1))
    pairs = combinations(range(len(signs)), 2)
    return float(np.mean([(signs[i] != signs[j]).double().mean().item() for i, j in pairs]))


@register("occlusion")
def run(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    seed: int = 0,
    stages: Sequence[str] | None = None,
    count: int = 4,
    side: float = 0.2,
    step: float = 0.1,
    grey: float = 0.5,
    groups: int = 3,
    batch: int = 128,
    progress: Progress | None = None,
) -> ProbeResult:
    """Slide a grey square over ``count`` of the images (N, 3, H, W), correct ones of different classes
    first. ``side`` and ``step`` are shares of the image's side; ``grey`` is the square's value.

    In every stage the channel with the largest response to the whole image is watched, as its sum over
    positions (the map) and at its maximum (the unit). Rows per stage, one per image and the mean (``all``):
    ``half_area`` and ``gini`` of the map's drops; ``change_inside`` and ``change_outside``: |a − ã|/|a| of
    the unit with the square over its receptive field (where its gradient is not zero) or beside it, NaN where
    there is no such position. At layer ``logits``: ``half_area`` and ``gini`` of the drops of the class's
    probability, ``largest_drop``, ``label_changes`` (share of positions).

    Correspondence, over ``groups`` classes with ``GROUP_SIZE`` images each: ``correspondence`` (Δ, the square
    over the middle of all images) and ``correspondence_random`` (at places of its own in each image).

    Arrays: ``images`` uint8 (I, 3, H, W), ``labels`` (I,), ``probability`` (I, rows, columns),
    ``prediction`` (the same), ``clean_probability`` (I,), ``<stage>/activity`` (I, rows, columns, relative to
    the whole image's), ``corners`` (P, 2), ``side``.

    Raises UserError if the square is not smaller than the image.
    """
    height, width = images.shape[-2:]
    pixels = max(1, round(side * min(height, width)))
    if not 0 < side < 1 or not 0 < step <= 1:
        raise UserError(f"occlusion: side {side} and step {step} are shares of the image; allowed is 0 to 1")
    corners = positions(height, width, pixels, max(1, round(step * min(height, width))))
    grid = (len({row for row, _ in corners}), len({column for _, column in corners}))
    paths = stage_paths(model, stages)
    device = device_of(model)
    with probing(model, seed=seed):
        rows = Rows(NAME, relative_depths(model, {**paths, LOGITS: ""}, images[:1]))
        chosen = examples(model, images, labels, count, batch)
        shown, truth = images[chosen].to(device), labels[chosen].to(device)
        watched = _watch(model, paths, shown)
        answers = _slide(model, paths, shown, truth, corners, pixels, grey, watched, batch, progress)
        signs = _correspondences(model, paths, images, labels, groups, pixels, grey, seed)

    arrays = {
        "images": (to_numpy(shown) * 255).round().astype(np.uint8),
        "labels": to_numpy(truth),
        "clean_probability": to_numpy(answers["clean"]),
        "probability": to_numpy(answers["probability"]).reshape(-1, *grid),
        "prediction": to_numpy(answers["prediction"]).reshape(-1, *grid),
        "corners": np.array(corners),
        "side": np.array(pixels),
    }
    numbers = {"half_area": [], "gini": [], "largest_drop": [], "label_changes": []}
    for index in range(len(shown)):
        drops = to_numpy(answers["clean"][index] - answers["probability"][index])
        numbers["half_area"].append(half_area(drops))
        numbers["gini"].append(gini(drops))
        numbers["largest_drop"].append(drops.max())
        changed = answers["prediction"][index] != answers["clean_prediction"][index]
        numbers["label_changes"].append(float(changed.float().mean()))
    for metric, values in numbers.items():
        rows.add_units(LOGITS, metric, np.array(values))
    for stage in paths:
        _stage_rows(rows, arrays, stage, watched[stage], answers[stage], corners, pixels, grid)
        for metric, values in signs.get(stage, {}).items():
            rows.add(stage, metric, finite_mean(np.array(values)))
    return ProbeResult(NAME, rows.table(), arrays)


def _stage_rows(
    rows: Rows,
    arrays: dict[str, np.ndarray],
    stage: str,
    watched: dict[str, Tensor],
    answer: Tensor,
    corners: Sequence[tuple[int, int]],
    side: int,
    grid: tuple[int, int],
) -> None:
    """Numbers and pictures of one stage from its sums and unit responses (I, P, 2)."""
    sums, units = to_numpy(answer[..., 0]).astype(float), to_numpy(answer[..., 1]).astype(float)
    clean_sum, clean_unit = to_numpy(watched["sum"]).astype(float), to_numpy(watched["value"]).astype(float)
    metrics = ("half_area", "gini", "change_inside", "change_outside")
    numbers: dict[str, list[float]] = {name: [] for name in metrics}
    for index, seen in enumerate(watched["seen"]):
        drops = clean_sum[index] - sums[index]
        numbers["half_area"].append(half_area(drops))
        numbers["gini"].append(gini(drops))
        over = np.array([bool(seen[top : top + side, left : left + side].any()) for top, left in corners])
        change = np.abs(units[index] - clean_unit[index]) / max(abs(clean_unit[index]), 1e-12)
        numbers["change_inside"].append(finite_mean(change[over]))
        numbers["change_outside"].append(finite_mean(change[~over]))
    for metric, values in numbers.items():
        rows.add_units(stage, metric, np.array(values))
    scale = np.maximum(np.abs(clean_sum), 1e-12)[:, None]
    arrays[f"{stage}/activity"] = (sums / scale).reshape(-1, *grid).astype(np.float32)
    arrays[f"{stage}/channel"] = to_numpy(watched["channel"])


@torch.no_grad()
def examples(model: nn.Module, images: Tensor, labels: Tensor, count: int, batch: int = 128) -> list[int]:
    """Indices of ``count`` images to show: correct ones before wrong ones, one of each class before a
    second of any, else in the given order."""
    device = device_of(model)
    prediction = torch.cat([model(chunk.to(device)).argmax(1).cpu() for chunk in images.split(batch)])
    right = (prediction == labels.cpu()).tolist()
    seen: dict[tuple[bool, int], int] = {}
    turns = []
    for index, label in enumerate(labels.tolist()):
        group = (right[index], label)
        seen[group] = seen.get(group, -1) + 1
        turns.append((not right[index], seen[group], index))
    return [index for *_, index in sorted(turns)[:count]]


def _watch(model: nn.Module, paths: dict[str, str], images: Tensor) -> dict[str, dict[str, Tensor]]:
    """For every stage and image the channel and place of the largest response, its value, the channel's sum,
    and the pixels that the unit sees (I, H, W)."""
    watched = {}
    with torch.enable_grad(), Tap(model, paths) as tap:
        leaf = images.clone().requires_grad_()
        maps = {name: as_maps(value) for name, value in tap(leaf).items()}
        index = torch.arange(len(images), device=images.device)
        for name, value in maps.items():
            flat = value.flatten(2)
            channel = flat.amax(2).argmax(1)
            place = flat[index, channel].argmax(1)
            response = flat[index, channel, place]
            (gradient,) = torch.autograd.grad(response.sum(), leaf, retain_graph=True)
            size = gradient.abs().amax(1)
            watched[name] = {
                "channel": channel,
                "place": place,
                "value": response.detach(),
                "sum": flat[index, channel].sum(1).detach(),
                "seen": (size > 1e-6 * size.amax((1, 2), keepdim=True)).cpu().numpy(),
            }
    return watched


@torch.no_grad()
def _slide(
    model: nn.Module,
    paths: dict[str, str],
    images: Tensor,
    labels: Tensor,
    corners: Sequence[tuple[int, int]],
    side: int,
    grey: float,
    watched: dict[str, dict[str, Tensor]],
    batch: int,
    progress: Progress | None,
) -> dict[str, Tensor]:
    """Responses to all covered images: for every stage (I, P, 2) the watched channel's sum and the unit; the
    true class's probability and the prediction (I, P); clean ones (I,)."""
    clean = model(images).softmax(1)
    count, places = len(images), len(corners)
    index = torch.arange(count, device=images.device)
    answers: dict[str, list[Tensor]] = {name: [] for name in (*paths, "probability", "prediction")}
    per_batch = max(1, fitting(batch, images) // count)
    with Tap(model, {**paths, LOGITS: ""}) as tap:
        for first in range(0, places, per_batch):
            part = corners[first : first + per_batch]
            covered = occlude(images, part, side, grey).flatten(0, 1)
            owner = index.repeat_interleave(len(part))
            caught = tap(covered)
            probability = caught.pop(LOGITS).softmax(1)
            sample = torch.arange(len(covered), device=images.device)
            answers["probability"].append(probability[sample, labels[owner]].view(count, -1))
            answers["prediction"].append(probability.argmax(1).view(count, -1))
            for name, value in caught.items():
                maps = as_maps(value).flatten(2)[sample, watched[name]["channel"][owner]]
                unit = maps[sample, watched[name]["place"][owner]]
                answers[name].append(torch.stack([maps.sum(1), unit], 1).view(count, -1, 2))
            if progress:
                progress("sliding the square", min(first + per_batch, places), places)
    joined = {name: torch.cat(parts, 1) for name, parts in answers.items()}
    joined["clean"] = clean[index, labels]
    joined["clean_prediction"] = clean.argmax(1)
    return joined


@torch.no_grad()
def _correspondences(
    model: nn.Module,
    paths: dict[str, str],
    images: Tensor,
    labels: Tensor,
    groups: int,
    side: int,
    grey: float,
    seed: int,
) -> dict[str, dict[str, list[float]]]:
    """Δ of every stage for the middle of the images and for random places, one value per group."""
    device, truth = device_of(model), labels.cpu().numpy()
    height, width = images.shape[-2:]
    middle = ((height - side) // 2, (width - side) // 2)
    enough = [label for label in np.unique(truth) if (truth == label).sum() >= GROUP_SIZE][:groups]
    found: dict[str, dict[str, list[float]]] = {name: {} for name in paths}
    with Tap(model, paths) as tap:
        for label in enough:
            members = images[np.flatnonzero(truth == label)[:GROUP_SIZE]].to(device)
            generator = seeds.numpy_generator(seed, NAME, "places", int(label))
            places = generator.integers(0, (height - side + 1, width - side + 1), (GROUP_SIZE, 2))
            at_random = torch.cat(
                [
                    occlude(x[None], [(int(r), int(c))], side, grey)[:, 0]
                    for x, (r, c) in zip(members, places, strict=True)
                ]
            )
            caught = tap(torch.cat([members, occlude(members, [middle], side, grey)[:, 0], at_random]))
            for name, value in caught.items():
                clean, same, other = value.split(GROUP_SIZE)
                found[name].setdefault("correspondence", []).append(correspondence(clean - same))
                found[name].setdefault("correspondence_random", []).append(correspondence(clean - other))
    return found
