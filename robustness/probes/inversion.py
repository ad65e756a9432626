"""Feature inversion: images reconstructed from their features, layer by layer.

Five reconstructions of an image from different starts show what a layer keeps (it is alike in all five) and
what it leaves open. The objective is in :mod:`robustness.probes.inversion_engine`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from robustness.probes.inversion_engine import data_weight, invert, jitter_of
from robustness.probes.layers import LOGITS, Tap, device_of, probing, relative_depths, stage_paths
from robustness.probes.occlusion import examples
from robustness.probes.registry import register
from robustness.probes.regularisers import gaussian_blur
from robustness.probes.result import ProbeResult, Progress, Rows, to_numpy

NAME = "inversion"
REFERENCES = 64
"""So many images give the mean distance of features."""


@register("inversion")
def run(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    seed: int = 0,
    stages: Sequence[str] | None = None,
    count: int = 2,
    starts: int = 5,
    iterations: tuple[int, int] = (300, 50),
    tolerance: float = 0.01,
    rate: float = 0.02,
    prior: float = 1.0,
    batch: int = 64,
    progress: Progress | None = None,
) -> ProbeResult:
    """Reconstruct ``count`` images (N, 3, H, W; correct ones of different classes first) from every stage.

    ``starts``: reconstructions per image. ``iterations``: with jitter, at most, until the objective
    falls by less than the share ``tolerance`` over ``WINDOW`` steps; then without (300 and 50 as published).
    ``rate``: Adam's; ``prior`` multiplies the natural-image prior.

    Rows per stage, one per image and the mean, over the starts: ``feature_error``, ‖Φ(x*) − Φ0‖/mean pairwise
    distance of natural Φ; ``relative_error``, √(‖Φ(x*) − Φ0‖²/‖Φ0‖²); ``label_consistency``, how often
    argmax f(x*) = argmax f(x0); ``nrmse`` and ``ssim`` against the image; ``variation``, the mean standard
    deviation of a pixel over the starts, over that of the image's pixels (NaN for one start); ``fall``, the
    last fall of the objective (not converged: ``tolerance`` or more), and ``steps``, those made.

    Arrays: ``images`` uint8 (I, 3, H, W), ``labels`` (I,), ``<stage>/images`` uint8 (I, S, 3, H, W),
    ``<stage>/errors`` (I, S) relative and squared, ``<stage>/trace`` (I, S, steps), ``<stage>/fall`` (I, S),
    ``tolerance``, ``depths`` and ``stages``.
    """
    paths = stage_paths(model, stages)
    device = device_of(model)
    with probing(model, seed=seed):
        depths = relative_depths(model, paths, images[:1])
        rows = Rows(NAME, depths)
        chosen = examples(model, images, labels, count)
        originals = images[chosen].cpu()
        scales, strides = _layers(model, paths, images[:REFERENCES].to(device))
        with torch.no_grad():
            wanted = model(originals.to(device)).argmax(1).cpu()
        repeated = originals.repeat_interleave(starts, 0)
        number = [image for image in range(len(chosen)) for _ in range(starts)]
        start = list(range(starts)) * len(chosen)
        arrays = {
            "images": _bytes(originals),
            "labels": labels.cpu().numpy()[chosen],
            "stages": np.array(list(paths)),
            "tolerance": np.array(tolerance),
            "depths": np.array([depths[stage] for stage in paths]),
        }
        for done, (stage, path) in enumerate(paths.items()):
            parts = [
                invert(
                    model,
                    path,
                    repeated[first : first + batch],
                    starts=start[first : first + batch],
                    ids=number[first : first + batch],
                    weight=data_weight(depths[stage]),
                    seed=seed,
                    iterations=tuple(iterations),
                    tolerance=tolerance,
                    rate=rate,
                    jitter=jitter_of(strides[stage]),
                    prior=prior,
                    mean=images.mean((0, 2, 3)),
                )
                for first in range(0, len(repeated), batch)
            ]
            found = torch.cat([part.images for part in parts])
            errors = torch.cat([part.errors for part in parts]).view(len(chosen), starts)
            _add_rows(rows, model, stage, path, found, originals, wanted, errors, scales[stage], starts)
            arrays[f"{stage}/images"] = _bytes(found).reshape(len(chosen), starts, *found.shape[1:])
            arrays[f"{stage}/errors"] = to_numpy(errors)
            trace = torch.cat([part.trace for part in parts]).view(len(chosen), starts, -1)
            fall = torch.cat([part.fall for part in parts]).view(len(chosen), starts)
            arrays |= {f"{stage}/trace": to_numpy(trace), f"{stage}/fall": to_numpy(fall)}
            rows.add_units(stage, "fall", to_numpy(fall.mean(1)))
            rows.add_units(stage, "steps", to_numpy(trace.isfinite().float().sum(2).mean(1)))
            if progress:
                progress(f"inverting {stage}", (done + 1) * len(repeated), len(paths) * len(repeated))
    return ProbeResult(NAME, rows.table(), arrays)


def _bytes(images: Tensor) -> np.ndarray:
    return (to_numpy(images) * 255).round().clip(0, 255).astype(np.uint8)


@torch.no_grad()
def _layers(
    model: nn.Module, paths: dict[str, str], images: Tensor
) -> tuple[dict[str, float], dict[str, int]]:
    """The mean pairwise distance of natural features, and the stride in pixels, of every stage."""
    scales, strides = {}, {}
    with Tap(model, paths) as tap:
        for stage, value in tap(images).items():
            flat = value.flatten(1)
            total = torch.cdist(flat, flat).sum() / max(len(flat) * (len(flat) - 1), 1)
            scales[stage] = float(total)
            side = images.shape[-1]
            strides[stage] = max(1, side // value.shape[-1]) if value.dim() == 4 else side
    return scales, strides


@torch.no_grad()
def _add_rows(
    rows: Rows,
    model: nn.Module,
    stage: str,
    path: str,
    found: Tensor,
    originals: Tensor,
    wanted: Tensor,
    errors: Tensor,
    scale: float,
    starts: int,
) -> None:
    device = device_of(model)
    with Tap(model, {"layer": path, LOGITS: ""}) as tap:
        caught = tap(found.to(device))
        clean = tap(originals.to(device))["layer"].repeat_interleave(starts, 0)
    distance = (caught["layer"] - clean).flatten(1).norm(dim=1).cpu() / max(scale, 1e-12)
    same = (caught[LOGITS].argmax(1).cpu() == wanted.repeat_interleave(starts)).float()
    repeated = originals.repeat_interleave(starts, 0)
    per_image = (len(originals), starts)
    spread = found.view(*per_image, *found.shape[1:]).std(1).mean((1, 2, 3)) if starts > 1 else None
    numbers = {
        "feature_error": distance.view(per_image).mean(1),
        "relative_error": errors.sqrt().mean(1),
        "label_consistency": same.view(per_image).mean(1),
        "nrmse": nrmse(found, repeated).view(per_image).mean(1),
        "ssim": ssim(found, repeated).view(per_image).mean(1),
    }
    if spread is not None:
        numbers["variation"] = spread / originals.flatten(1).std(1).clamp_min(1e-6)
    for metric, values in numbers.items():
        rows.add_units(stage, metric, to_numpy(values))


def nrmse(images: Tensor, reference: Tensor) -> Tensor:
    """‖x − x0‖/‖x0 − mean(x0)‖ (B,) of (B, C, H, W), the mean over the pixels of each channel. 0 = equal; 1 =
    no better than the mean colour; NaN for a uniform reference."""
    centred = reference - reference.mean((2, 3), keepdim=True)
    scale = centred.flatten(1).norm(dim=1)
    distance = (images - reference).flatten(1).norm(dim=1)
    return torch.where(scale > 1e-4, distance / scale.clamp_min(1e-4), torch.nan)


def ssim(images: Tensor, reference: Tensor, *, sigma: float = 1.5) -> Tensor:
    """Structural similarity of images (B, C, H, W) in [0, 1], the mean over pixels and colours: (B,).

    Z. Wang et al., IEEE Trans. Image Processing 13 (2004), with their Gaussian window and constants.
    """
    c1, c2 = 0.01**2, 0.03**2
    mean_x, mean_y = gaussian_blur(images, sigma), gaussian_blur(reference, sigma)
    var_x = gaussian_blur(images * images, sigma) - mean_x**2
    var_y = gaussian_blur(reference * reference, sigma) - mean_y**2
    both = gaussian_blur(images * reference, sigma) - mean_x * mean_y
    score = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    score = score / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return score.mean((1, 2, 3))
