"""Physiology of the stem: its units' tuning to drifting gratings, and how like macaque V1 they are.

The stimuli and the measures follow the benchmarks of Marques et al. (2021, Brain-Score) and the papers of
:mod:`~robustness.probes.v1_distributions`, with gratings over the whole field for orientation and frequency.
Degrees are those of the V1 front-ends, 28 pixels each (``frontends.FrontendOptions``, ``visual_degrees``),
also for a learned stem, so that all stand on one scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from robustness.errors import UserError
from robustness.frontends.blocks.noise import noise
from robustness.frontends.blocks.v1_block import V1Block
from robustness.frontends.options import PUBLISHED_PIXELS_PER_DEGREE
from robustness.probes import tuning_curves
from robustness.probes.filters import first_layer
from robustness.probes.gratings import Gratings, field_centre, responses
from robustness.probes.layers import probing, relative_depths, stage_paths
from robustness.probes.registry import register
from robustness.probes.result import ProbeResult, Progress, Rows
from robustness.probes.v1_distributions import PUBLISHED, likeness

NAME = "tuning"
STAGE = "stem"
CELLS = "cells"
"""The layer of the cells of a V1 block, in front of the bottleneck that makes the stem's output of them."""
ORIENTATIONS = np.pi * np.arange(12) / 12
CONTRASTS = 2.0 ** np.arange(-4, 1)
LEAST_RADIUS = 1.4
"""Pixels of the smallest aperture."""
LEAST_SIDE = 16
LEAST_KERNEL = 4
"""Pixels of the first layer's kernel, from which on bandwidths are measured."""
WIDTHS = ("orientation_bandwidth", "frequency_bandwidth", "frequency_selectivity")
PROPERTIES = (
    "circular_variance", "orthogonal_ratio", "modulation_ratio", "preferred_frequency", *WIDTHS,
    "suppression_index", "summation_field", "field_radius", "contrast_saturation", "contrast_half",
    "contrast_exponent",
)  # fmt: skip


def frequencies() -> np.ndarray:
    """Cycles per degree: the middles of De Valois's half-octave bins, below the pixels' Nyquist limit."""
    steps = np.sqrt(0.35 * 0.5) * 2 ** (np.arange(12) / 2)
    return steps[steps < PUBLISHED_PIXELS_PER_DEGREE / 2]


def radii(side: int) -> np.ndarray:
    """Pixels, ascending by half octaves to half the side of the field."""
    steps = side / 2 * 2 ** (-np.arange(32) / 2)
    return steps[steps >= LEAST_RADIUS][::-1]


@register("tuning")
def run(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    seed: int = 0,
    side: int | None = None,
    size_units: int = 32,
    progress: Progress | None = None,
) -> ProbeResult:
    """Show gratings to ``model``, its noise off. ``images`` (N, C, H, W) give size and colours of what
    it takes; ``labels`` are not used.

    ``side``: pixels of the square field that the stem is shown, no smaller than what its units see; None: the
    images' side. ``size_units``: of so many units of a layer, evenly spaced, size and contrast tuning are
    measured, each at its best grating. Raises UserError for a field of less than 16 pixels or more than the
    images have, or less than one unit.

    Layers: ``stem``, its output; of a V1 front-end also ``cells``, the V1 block's own, before the bottleneck
    mixes them. Units are the channels at the centre of the map, negative outputs 0, scaled together so that
    the median unit has the peak and blank responses of the median cell; those that reach less than 5 spikes/s
    are left out.

    Rows, one per unit and their mean (``all``): ``circular_variance``, ``orthogonal_ratio`` and
    ``orientation_bandwidth`` (half width at 1/√2, °) of F0 at the best frequency; ``modulation_ratio``, F1/F0
    at the best grating; ``preferred_frequency`` (cycles/°), ``frequency_bandwidth`` (octaves at half height)
    and ``frequency_selectivity`` (100·f_low/f_high at 1/√2) of the larger of F0 − blank and F1;
    ``suppression_index``, ``summation_field`` (°, where the index is above 0.1) and ``field_radius`` (°);
    ``contrast_saturation``, ``contrast_half`` (c50) and ``contrast_exponent``
    (:mod:`~robustness.probes.tuning_curves`). A width is NaN where the response does not fall so far within
    the gratings shown, and where the first layer's kernel is 3 × 3: three pixels decide the width, whatever
    was learned.

    For the layer only: ``responsive_share``; of each published property ``<property>/median`` and
    ``<property>/distance`` (Kolmogorov–Smirnov, 0 to 1; NaN of fewer than five units); ``v1_likeness``, one
    less the mean distance; ``v1_likeness_sd``, over resampled units; ``v1_likeness_ceiling``, of as many
    cells drawn from the published distributions.

    Arrays, by layer, ``<layer>/<name>``: every property (units,) and, where a unit answers at all,
    ``preferred_orientation`` (radians) and the curves ``orientation_curves`` and ``frequency_curves`` (units,
    n), in spikes/s, at ``orientations`` (radians) and ``frequencies`` (cycles/°). Of the published
    distributions, ``published/<property>/edges`` and ``…/counts``.
    """
    side = min(images.shape[-2:]) if side is None else side
    if not LEAST_SIDE <= side <= min(images.shape[-2:]):
        raise UserError(
            f"tuning.side: {side} is not between {LEAST_SIDE} and {min(images.shape[-2:])}, the images' side"
        )
    if size_units < 1:
        raise UserError(f"tuning.size_units: {size_units} is not at least 1")
    layers = stage_paths(model, [STAGE])
    block = next((path for path, module in model.named_modules() if isinstance(module, V1Block)), None)
    if block is not None:
        layers[CELLS] = block
    channels = images.shape[1]
    with probing(model, seed=seed), noise(model, "off"):
        rows = Rows(NAME, relative_depths(model, layers, images[:1]))
        kernel = first_layer(model, images[:1]).weights.shape[-1]
        centre = field_centre(model, layers.get(CELLS, layers[STAGE]), side, channels, seed=seed)

        def show(what: str, gratings: Gratings) -> dict[str, np.ndarray]:
            def told(done: int) -> None:
                if progress:
                    progress(what, done, len(gratings))

            field = {"side": side, "centre": centre, "channels": channels}
            return responses(model, layers, gratings, told=told, **field)

        measured = _measure(show, side, size_units, kernel >= LEAST_KERNEL)
    arrays = {"orientations": ORIENTATIONS, "frequencies": frequencies()}
    for name, published in PUBLISHED.items():
        arrays |= {f"published/{name}/edges": published.edges, f"published/{name}/counts": published.counts}
    for layer, properties in measured.items():
        _write(rows, layer, properties, seed)
        arrays |= {f"{layer}/{name}": values.astype(np.float32) for name, values in properties.items()}
    return ProbeResult(NAME, rows.table(), arrays)


def _measure(
    show: Callable[[str, Gratings], dict[str, np.ndarray]], side: int, size_units: int, bandwidths: bool
) -> dict[str, dict[str, np.ndarray]]:
    """Layer → property → its values (units,), NaN where it is not defined."""
    cycles = frequencies() / PUBLISHED_PIXELS_PER_DEGREE
    angle, cycle = (each.ravel() for each in np.meshgrid(ORIENTATIONS, cycles, indexing="ij"))
    contrast = np.append(np.ones(angle.size), 0.0)  # the last is a blank
    waves = show("gratings", Gratings(np.append(angle, 0), np.append(cycle, cycle[0]), contrast=contrast))
    layers = {name: _Layer.of(shown) for name, shown in waves.items()}
    sized = {name: layer.sized(size_units) for name, layer in layers.items()}
    pairs = np.unique(np.concatenate([layer.best[sized[name]] for name, layer in layers.items()]))
    undefined = {name: _undefined(len(layer.blank)) for name, layer in layers.items()}
    if not len(pairs):
        return undefined
    apertures = radii(side)
    radius = np.append(apertures, np.full(len(CONTRASTS), np.inf))
    contrast = np.append(np.ones(len(apertures)), CONTRASTS)
    each, count = np.repeat(pairs, len(radius)), len(pairs)
    series = Gratings(angle[each], cycle[each], np.tile(radius, count), np.tile(contrast, count))
    shown = show("sizes and contrasts", series)
    return {
        name: undefined[name]
        | layer.waves(bandwidths=bandwidths)
        | layer.sizes(shown[name], pairs, apertures, sized[name])
        for name, layer in layers.items()
    }


@dataclass(frozen=True)
class _Layer:
    """A layer's answers to the gratings of all orientations and frequencies, in spikes/s: ``f0`` and
    ``strength``, the larger of F0 − blank and F1, (orientations, frequencies, units); ``ratio``, F1/F0;
    ``blank`` (units,)."""

    rates: tuning_curves.Rates
    f0: np.ndarray
    ratio: np.ndarray
    strength: np.ndarray
    blank: np.ndarray

    @classmethod
    def of(cls, shown: np.ndarray) -> _Layer:
        """From the responses to all gratings (orientation by orientation), then to a blank."""
        rates = tuning_curves.Rates.of(shown[:-1], shown[-1].mean(0))
        blank = rates(shown[-1]).mean(0)
        f0, f1 = tuning_curves.fundamentals(rates(shown[:-1]))
        with np.errstate(invalid="ignore", divide="ignore"):
            every = f0, f1 / f0, tuning_curves.response(f0, f1, blank)
        return cls(rates, *(each.reshape(len(ORIENTATIONS), -1, f0.shape[-1]) for each in every), blank)

    @property
    def responsive(self) -> np.ndarray:
        """Which units answer at all: (units,) bool."""
        return self.strength.max((0, 1)) > tuning_curves.RESPONSIVE

    @property
    def best(self) -> np.ndarray:
        """The best pair of orientation and frequency, as an index into all of them: (units,)."""
        return self.strength.reshape(-1, len(self.blank)).argmax(0)

    def sized(self, count: int) -> np.ndarray:
        """``count`` responsive units, evenly spaced, or all of fewer: their indices."""
        units = np.flatnonzero(self.responsive)
        return units[np.unique(np.linspace(0, len(units) - 1, min(count, len(units))).round().astype(int))]

    def waves(self, *, bandwidths: bool) -> dict[str, np.ndarray]:
        """What the gratings of the whole field say of all units, and their curves; without ``bandwidths``
        these are NaN."""
        units = np.flatnonzero(self.responsive)
        if not len(units):
            return {}
        row, column = np.divmod(self.best[units], self.strength.shape[1])
        around, along = self.f0[:, column, units].T, self.strength[row, :, units]
        frequency = tuning_curves.FrequencyTuning.of(along, frequencies())
        found = {
            "circular_variance": tuning_curves.circular_variance(around),
            "orthogonal_ratio": tuning_curves.orthogonal_ratio(around),
            "modulation_ratio": self.ratio[row, column, units],
            "preferred_frequency": frequency.preferred,
            "preferred_orientation": tuning_curves.preferred_orientation(around),
            "orientation_curves": around,
            "frequency_curves": along,
        }
        if bandwidths:
            widths = tuning_curves.orientation_bandwidth(around), frequency.bandwidth, frequency.selectivity
            found |= dict(zip(WIDTHS, widths, strict=True))
        return {name: _spread(values, units, len(self.blank)) for name, values in found.items()}

    def sizes(
        self, series: np.ndarray, pairs: np.ndarray, apertures: np.ndarray, units: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Size and contrast tuning of the ``units``. ``series``: the responses to each of the ``pairs`` at
        every radius of ``apertures``, then at every contrast."""
        f0, f1 = tuning_curves.fundamentals(self.rates(series))
        strength = tuning_curves.response(f0, f1, self.blank).reshape(len(pairs), -1, len(self.blank))
        own = strength[np.searchsorted(pairs, self.best[units]), :, units]
        size = tuning_curves.SizeTuning.of(own[:, : len(apertures)], apertures / PUBLISHED_PIXELS_PER_DEGREE)
        contrast = tuning_curves.ContrastTuning.of(own[:, len(apertures) :], CONTRASTS)
        found = {
            "suppression_index": size.suppression,
            "summation_field": size.summation,
            "field_radius": size.radius,
            "contrast_saturation": contrast.saturation,
            "contrast_half": contrast.half,
            "contrast_exponent": contrast.exponent,
        }
        return {name: _spread(values, units, len(self.blank)) for name, values in found.items()}


def _undefined(units: int) -> dict[str, np.ndarray]:
    return {name: np.full(units, np.nan) for name in PROPERTIES}


def _spread(values: np.ndarray, units: np.ndarray, count: int) -> np.ndarray:
    """Values of some units (n, …) as those of all (count, …), NaN for the others."""
    every = np.full((count, *values.shape[1:]), np.nan)
    every[units] = values
    return every


def _write(rows: Rows, layer: str, properties: dict[str, np.ndarray], seed: int) -> None:
    for name in PROPERTIES:
        rows.add_units(layer, name, properties[name])
    rows.add(layer, "responsive_share", np.isfinite(properties["circular_variance"]).mean())
    found = likeness(properties, seed=seed)
    for name, apart in found.distances.items():
        finite = properties[name][np.isfinite(properties[name])]
        rows.add(layer, f"{name}/median", np.median(finite) if len(finite) else np.nan)
        rows.add(layer, f"{name}/distance", apart)
    rows.add(layer, "v1_likeness", found.value)
    rows.add(layer, "v1_likeness_sd", found.spread)
    rows.add(layer, "v1_likeness_ceiling", found.ceiling)
