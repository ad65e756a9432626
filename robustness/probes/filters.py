"""First layer: the filters, their spectra and how much they resemble V1.

M. D. Zeiler and R. Fergus (ECCV 2014) read dead filters, missing middle frequencies and aliasing off pictures
of AlexNet's first layer; here each is a number. A fixed Gabor bank must come out with R² ≈ 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from robustness.errors import UserError
from robustness.frontends.blocks.noise import Noise, is_stochastic
from robustness.probes import gabor_fit, spectrum
from robustness.probes.layers import (
    as_maps,
    device_of,
    execution_order,
    features,
    probing,
    relative_depths,
    stage_paths,
)
from robustness.probes.registry import register
from robustness.probes.result import ProbeResult, Progress, Rows, to_numpy

NAME = "filters"
STAGE = "stem"
FUNCTIONAL_IMAGES = 32
"""So many images tell whether a stem channel ever fires."""
MIDDLE_BAND = (0.125, 0.25)
"""Cycles per pixel."""
ORIENTATION_EDGES = np.linspace(0, 180, 9)
FREQUENCY_EDGES = np.array([0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 0.75])


@dataclass(frozen=True)
class FirstLayer:
    """The first bank of filters that an image meets: ``weights`` (n, C, k, k), the stride in pixels, and the
    module's path."""

    weights: Tensor
    stride: int
    path: str


@torch.no_grad()
def first_layer(model: nn.Module, image: Tensor) -> FirstLayer:
    """The first filter bank that an image (1, C, H, W) passes.

    It is what the first executed module holds that has filters: in an attribute ``filters`` (n, k, k) with
    ``filter_colours`` (n,), the input channel of each (the V1 front-ends), or in a parameter or, failing
    that, a buffer of four dimensions (n, C, k, k) with k > 1; else the templates of a linear layer that
    reads the whole image. Raises UserError if the network has none of these.
    """
    modules = dict(model.named_modules())
    order = execution_order(model, image)
    for path in order:
        bank = getattr(modules[path], "filters", None)
        if isinstance(bank, Tensor) and bank.dim() == 3:
            colours = modules[path].filter_colours
            one_hot = nn.functional.one_hot(colours, max(int(colours.max()) + 1, image.shape[1]))
            weights = bank[:, None] * one_hot[:, :, None, None].to(bank)
            return FirstLayer(weights.float().cpu(), _stride(modules[path]), path)
        for tensor in modules[path].parameters(recurse=False):
            if tensor.dim() == 4 and min(tensor.shape[-2:]) > 1:
                return FirstLayer(tensor.detach().float().cpu(), _stride(modules[path]), path)
    for path in order:
        for tensor in modules[path].buffers(recurse=False):
            if tensor.dim() == 4 and min(tensor.shape[-2:]) > 1:
                return FirstLayer(tensor.detach().float().cpu(), _stride(modules[path]), path)
    for path in order:
        if isinstance(modules[path], nn.Linear) and modules[path].in_features == image[0].numel():
            templates = modules[path].weight.detach().float().cpu().view(-1, *image.shape[1:])
            return FirstLayer(templates, 1, path)
    raise UserError("filters: the network has no filter bank (a weight of four dimensions) to look at")


def _stride(module: nn.Module) -> int:
    """Pixels between two positions of the bank: ``stride``, or the first entry of a front-end's geometry."""
    geometry = getattr(module, "geometry", None)
    stride = geometry[0][0] if geometry else getattr(module, "stride", 1)
    return int(stride[0] if isinstance(stride, (tuple, list)) else stride)


def first_colour_component(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best achromatic-in-space approximation of each filter: its first spatial singular vector.

    ``weights`` (n, C, k, k) → components (n, k, k), scaled by the singular value and signed so that the
    colour weights sum to a positive number; and the share of the filter's energy that they hold (n,), 1 if
    the filter has one colour only, NaN if it is zero.
    """
    n, channels, height, width = weights.shape
    colour, values, space = np.linalg.svd(weights.reshape(n, channels, -1), full_matrices=False)
    sign = np.where(colour[:, :, 0].sum(1) < 0, -1.0, 1.0)
    component = space[:, 0] * (values[:, 0] * sign)[:, None]
    energy = (values**2).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(energy > 0, values[:, 0] ** 2 / energy, np.nan)
    return component.reshape(n, height, width), share


def variance_entropy(weights: np.ndarray) -> float:
    """log10 entropy of the variance shares of the singular values of the mean-centred filters.

    ``weights`` (n, C, k, k). 0: all filters are multiples of one; log10 of min(n − 1, C·k²): nothing shared.
    (P. Gavrikov and J. Keuper, CVPR 2022.)
    """
    matrix = weights.reshape(len(weights), -1).astype(float)
    centred = matrix - matrix.mean(0)
    gram = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    values = np.linalg.eigvalsh(gram)
    values = np.where(values > 1e-12 * values.max(), values, 0)
    if values.sum() <= 0:
        return float("nan")
    share = values[values > 0] / values.sum()
    return float(-(share * np.log10(share)).sum())


def dead_filters(weights: np.ndarray, limit: float = 0.01) -> np.ndarray:
    """Which filters of a bank (n, C, k, k) are dead: (n,) bool.

    The largest weight is below ``limit`` times the bank's largest *and* so is the gain for the filter's best
    grating. The second condition is for Gabor banks of equal gain, in which a wide filter has small weights.
    """
    largest = np.abs(weights).max((1, 2, 3))
    gain = spectrum.filter_amplitude(weights.reshape(-1, *weights.shape[2:]))
    gain = gain.max((1, 2)).reshape(weights.shape[:2]).max(1)
    return (largest < limit * largest.max()) & (gain < limit * gain.max())


@torch.no_grad()
def noise_equivalent_sd(model: nn.Module, images: Tensor) -> float:
    """The standard deviation of Gaussian noise on the pixels (range 0 to 1) that makes two natural ``images``
    (N, 3, H, W), N at least 2, as hard to tell apart as the front-end's noise makes them.

    With d′² = Σ (r₁ − r₂)² / ((σ₁² + σ₂²)/2) over the responses r that the noise is added to, of standard
    deviation σ and independent, it is |x₁ − x₂| / d′, the median over pairs of images: the ideal observer of
    the whole stem, before noisy responses are rectified. NaN where noise is added at more than one place.
    """
    modules = [module for module in model.modules() if isinstance(module, Noise)]
    if len(modules) != 1:
        return float("nan")
    caught: list[Tensor] = []
    handle = modules[0].register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0].clone()))
    try:
        model(images)
    finally:
        handle.remove()
    responses = caught[0]
    variance = modules[0].spread(responses).square().expand_as(responses)
    apart = (responses[1:] - responses[:-1]).square() / ((variance[1:] + variance[:-1]) / 2)
    discriminability = apart.flatten(1).sum(1).sqrt()
    return float(((images[1:] - images[:-1]).flatten(1).norm(dim=1) / discriminability).median())


def firing_rate(maps: Tensor) -> np.ndarray:
    """How often each channel leaves its resting value: the share of positions where a map (N, C, H, W) is
    further from the channel's median than a thousandth of the layer's largest value (C,)."""
    flat = as_maps(maps).transpose(0, 1).flatten(1)
    limit = 1e-3 * flat.abs().max()
    return (((flat - flat.median(1, keepdim=True).values).abs() > limit).float().mean(1)).numpy()


@register("filters")
def run(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    seed: int = 0,
    max_filters: int = 64,
    progress: Progress | None = None,
) -> ProbeResult:
    """Look at the first layer of ``model``. ``images``: (N, 3, H, W) in [0, 1]; ``labels`` are not used.

    ``max_filters``: of a larger bank, so many filters evenly spaced are fitted and drawn.

    Rows at layer ``stem``, one per filter and their mean (``all``): ``norm``; ``gabor_r2``,
    ``gabor_r2_adjusted`` and ``gabor_r2_excess`` = (R² − null)/(1 − null), the null being the mean R² of
    random filters of this size (all NaN for kernels of 3 × 3, which nine parameters always fit);
    ``colour_share``; ``alias_energy``;
    ``middle_band`` (share of energy in ``MIDDLE_BAND``); ``orientation_selectivity``;
    ``preferred_frequency`` (cycles per pixel); all but the norm only of live filters. For the layer only:
    ``filters``, ``kernel_size``, ``stride``; ``dead_share`` (:func:`dead_filters`);
    ``dead_share_functional`` (stem channels that fire at less than 1e-4 of the positions); ``gabor_r2_null``;
    ``variance_entropy``; with noise, ``noise_equivalent_sd`` (:func:`noise_equivalent_sd`);
    the histograms ``orientation_share/<degrees>`` (direction of the wave vector, bins of 22.5° from there on)
    and ``frequency_share/<from>`` (cycles per pixel, octaves), and their entropies ``orientation_entropy``
    and ``frequency_entropy`` relative to the uniform histogram's.

    Arrays: ``weights``, ``component``, ``fitted``, ``spectra`` (mean |F|, of unit energy, centred), ``dead``,
    ``gabor_r2``, ``frequency``, ``orientation`` (radians), ``selectivity``.
    """
    stages = stage_paths(model, [STAGE])
    with probing(model, seed=seed):
        depths = relative_depths(model, stages, images[:1])
        layer = first_layer(model, images[:1])
        looked_at = images[:FUNCTIONAL_IMAGES].to(device_of(model))
        stem = features(model, stages, looked_at)[STAGE]
        equivalent = noise_equivalent_sd(model, looked_at) if is_stochastic(model) else None
    weights = to_numpy(layer.weights)
    rows = Rows(NAME, depths)
    dead = dead_filters(weights)
    rows.add(STAGE, "filters", len(weights))
    rows.add(STAGE, "kernel_size", weights.shape[-1])
    rows.add(STAGE, "stride", layer.stride)
    rows.add(STAGE, "dead_share", dead.mean())
    rows.add(STAGE, "dead_share_functional", (firing_rate(stem) < 1e-4).mean())
    rows.add(STAGE, "variance_entropy", variance_entropy(weights))
    if equivalent is not None:
        rows.add(STAGE, "noise_equivalent_sd", equivalent)

    kept = np.unique(np.linspace(0, len(weights) - 1, min(max_filters, len(weights))).round().astype(int))
    weights, dead = weights[kept], dead[kept]
    component, colour_share = first_colour_component(weights)
    amplitude = spectrum.filter_amplitude(component)
    if progress:
        progress("fitting Gabor functions", 0, len(kept))
    fitted = gabor_fit.fit(component)
    if progress:
        progress("fitting Gabor functions", len(kept), len(kept))
    frequency, orientation, selectivity = spectrum.preferred(amplitude)
    null = gabor_fit.random_filter_r2(weights.shape[-1])
    judged = component[0].size > gabor_fit.PARAMETERS + 1
    r2 = fitted.r2 if judged else np.full(len(kept), np.nan)
    per_filter = {
        "gabor_r2": r2,
        "gabor_r2_adjusted": fitted.adjusted_r2,
        "gabor_r2_excess": (r2 - null) / (1 - null),
        "colour_share": colour_share,
        "alias_energy": spectrum.alias_energy(amplitude, layer.stride),
        "middle_band": spectrum.band_share(amplitude, *MIDDLE_BAND),
        "orientation_selectivity": selectivity,
        "preferred_frequency": frequency,
    }
    units = [str(index) for index in kept]
    rows.add_units(STAGE, "norm", np.sqrt((weights**2).sum((1, 2, 3))), units)
    for metric, values in per_filter.items():
        rows.add_units(STAGE, metric, np.where(dead, np.nan, values), units)
    rows.add(STAGE, "gabor_r2_null", null)
    _histogram(rows, "orientation", np.degrees(orientation[~dead]), ORIENTATION_EDGES)
    _histogram(rows, "frequency", frequency[~dead], FREQUENCY_EDGES)
    with np.errstate(invalid="ignore", divide="ignore"):
        normed = amplitude / np.sqrt((amplitude**2).sum((1, 2), keepdims=True))
    mean_spectrum = np.nanmean(normed[~dead], 0) if (~dead).any() else np.zeros_like(normed[0])
    arrays = {
        "weights": weights,
        "component": component.astype(np.float32),
        "fitted": fitted.fitted.astype(np.float32),
        "spectra": mean_spectrum.astype(np.float32),
        "dead": dead,
        "stride": np.array(layer.stride),
        "gabor_r2": r2.astype(np.float32),
        "gabor_r2_null": np.array(null, dtype=np.float32),
        "frequency": frequency.astype(np.float32),
        "orientation": orientation.astype(np.float32),
        "selectivity": selectivity.astype(np.float32),
    }
    return ProbeResult(NAME, rows.table(), arrays)


def _histogram(rows: Rows, name: str, values: np.ndarray, edges: np.ndarray) -> None:
    """The shares of the bins, and the histogram's entropy over the uniform one's (0: one bin, 1: all
    alike)."""
    counts, _ = np.histogram(values[np.isfinite(values)], edges)
    share = counts / counts.sum() if counts.sum() else np.full(len(counts), np.nan)
    for low, value in zip(edges, share, strict=False):
        rows.add(STAGE, f"{name}_share/{low:g}", value)
    filled = share[share > 0]
    entropy = -(filled * np.log(filled)).sum() / np.log(len(counts)) if counts.sum() else np.nan
    rows.add(STAGE, f"{name}_entropy", entropy)
