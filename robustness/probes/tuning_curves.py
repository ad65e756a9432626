"""What a physiologist reads off a unit's responses to gratings: selectivity, bandwidth, size, contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustness.probes.gratings import PHASES

MEDIAN_PEAK, MEDIAN_BLANK = 33.8, 0.82
"""Spikes/s: the median cell of Ringach et al. (2002), as in Marques et al. (2021)."""
RESPONSIVE = 5.0
"""Spikes/s above the response to a blank: units below are left out."""
_FINE = 60
"""Points between two samples of a curve."""


@dataclass(frozen=True)
class Rates:
    """Responses as firing rates. The affine map from a layer's units to spikes/s: ``gain``, ``offset``."""

    gain: float
    offset: float

    @classmethod
    def of(cls, responses: np.ndarray, blank: np.ndarray) -> Rates:
        """The map that gives the median unit the peak and the blank response of the median cell.

        ``responses`` (n, PHASES, units) to gratings, ``blank`` (units,); negative ones count as 0. Units that
        no grating moves do not count.
        """
        blank = blank.clip(0)
        peak = response(*fundamentals(responses.clip(0)), blank).max(0)
        moved = peak > 1e-3 * peak.max()
        if not moved.any():
            return cls(0.0, 0.0)
        middle = float(np.median(blank[moved]))
        gain = (MEDIAN_PEAK - MEDIAN_BLANK) / float(np.median(peak[moved]))
        return cls(gain, MEDIAN_BLANK - gain * middle)

    def __call__(self, responses: np.ndarray) -> np.ndarray:
        """Responses of any shape in spikes/s, 0 or more."""
        return (self.gain * responses.clip(0) + self.offset).clip(0)


def fundamentals(responses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F0, the mean over phases, and F1 = 2·|first Fourier coefficient|/phases, of (n, PHASES, …): (n, …)."""
    wave = np.exp(-2j * np.pi * np.arange(PHASES) / PHASES)
    return responses.mean(1), 2 * np.abs(np.tensordot(responses, wave, (1, 0))) / PHASES


def response(f0: np.ndarray, f1: np.ndarray, blank: np.ndarray) -> np.ndarray:
    """The larger of F0 above the blank response and F1 (Cavanaugh et al. 2002)."""
    return np.maximum(f0 - blank, f1)


def circular_variance(curves: np.ndarray) -> np.ndarray:
    """1 − |Σ r·e^{2iθ}| / Σ r of curves (units, orientations) over 180° (Ringach et al. 2002); 0: one
    orientation, 1: all alike."""
    angle = np.pi * np.arange(curves.shape[1]) / curves.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - np.abs(curves @ np.exp(2j * angle)) / curves.sum(1)


def preferred_orientation(curves: np.ndarray) -> np.ndarray:
    """The direction of Σ r·e^{2iθ} of curves (units, orientations): radians in [0, π)."""
    angle = np.pi * np.arange(curves.shape[1]) / curves.shape[1]
    return np.mod(np.angle(curves @ np.exp(2j * angle)) / 2, np.pi)


def orthogonal_ratio(curves: np.ndarray) -> np.ndarray:
    """Response at a right angle to the best orientation, over the best, of curves (units, orientations)."""
    count, every = curves.shape[1], np.arange(len(curves))
    best = curves.argmax(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return curves[every, (best + count // 2) % count] / curves[every, best]


def orientation_bandwidth(curves: np.ndarray) -> np.ndarray:
    """Half width (°) at 1/√2 of the peak of curves (units, orientations) over 180°, smoothed by [0.4, 1, 0.4]
    and interpolated by a cubic spline (Ringach et al. 2002); NaN where the response never falls so far."""
    from scipy.interpolate import CubicSpline

    count = curves.shape[1]
    smooth = (curves + 0.4 * (np.roll(curves, 1, 1) + np.roll(curves, -1, 1))) / 1.8
    closed = np.concatenate([smooth, smooth[:, :1]], 1)
    fine = CubicSpline(np.arange(count + 1), closed, axis=1, bc_type="periodic")(
        np.arange(count * _FINE) / _FINE
    )
    half = count * _FINE // 2
    widths = []
    for curve in fine:
        turned = np.roll(curve, half - curve.argmax())
        level = turned[half] / np.sqrt(2)
        widths.append((_falls(turned[half:], level) + _falls(turned[half::-1], level)) / 2)
    return np.array(widths) * 180 / (count * _FINE)


@dataclass(frozen=True)
class FrequencyTuning:
    """Of units (units,): ``preferred`` frequency, in the unit of the axis; ``bandwidth`` in octaves at half
    height; ``selectivity``, 100·f_low/f_high at 1/√2 of the peak (Schiller et al. 1976). The widths are NaN
    where the response does not fall so far on both sides within the axis."""

    preferred: np.ndarray
    bandwidth: np.ndarray
    selectivity: np.ndarray

    @classmethod
    def of(cls, curves: np.ndarray, frequencies: np.ndarray) -> FrequencyTuning:
        """From curves (units, frequencies), interpolated by a cubic spline over the logarithm of the
        frequency, of which the samples are equally spaced."""
        from scipy.interpolate import CubicSpline

        octaves = np.log2(frequencies)
        step = (octaves[-1] - octaves[0]) / (_FINE * (len(octaves) - 1))
        places = octaves[0] + step * np.arange(_FINE * (len(octaves) - 1) + 1)
        fine = CubicSpline(octaves, curves, axis=1)(places)
        peak = fine.argmax(1)
        widths = []
        for curve, top in zip(fine, peak, strict=True):
            sides = curve[top:], curve[top::-1]
            widths.append([sum(_falls(s, curve[top] * level) for s in sides) for level in (0.5, 0.5**0.5)])
        half, upper = step * np.array(widths).reshape(-1, 2).T
        return cls(2 ** (octaves[0] + step * peak), half, 100 * 2**-upper)


def _falls(curve: np.ndarray, level: float) -> float:
    """After how many samples from its peak, its first, a curve falls below a level; NaN: never."""
    below = np.flatnonzero(curve < level)
    if not len(below):
        return np.nan
    after = below[0]
    return after - (level - curve[after]) / (curve[after - 1] - curve[after])


@dataclass(frozen=True)
class SizeTuning:
    """Of units (units,): ``suppression``, 1 − the response at the largest radius over the peak; ``radius``,
    the smallest with 95 % of the peak; ``summation``, the diameter of the same where the suppression is above
    0.1, else NaN (Cavanaugh et al. 2002)."""

    suppression: np.ndarray
    radius: np.ndarray
    summation: np.ndarray

    @classmethod
    def of(cls, curves: np.ndarray, radii: np.ndarray) -> SizeTuning:
        """From curves (units, radii); the radii ascend."""
        peak = curves.max(1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            suppression = 1 - (curves[:, -1:] / peak)[:, 0]
        radius = radii[(curves >= 0.95 * peak).argmax(1)]
        return cls(suppression, radius, np.where(suppression > 0.1, 2 * radius, np.nan))


@dataclass(frozen=True)
class ContrastTuning:
    """Of units (units,): ``saturation``, 2·∫R dc / (R_max·c_max) − 1 from contrast 0 on, 0 for a line and 1
    for a step; ``half``, the contrast c50 of the least-squares fit R_max·cⁿ/(cⁿ + c50ⁿ), and the ``exponent``
    n, NaN where c50 is beyond the largest contrast: no saturation was seen."""

    saturation: np.ndarray
    half: np.ndarray
    exponent: np.ndarray

    @classmethod
    def of(cls, curves: np.ndarray, contrasts: np.ndarray) -> ContrastTuning:
        """From curves (units, contrasts) above the blank response; the contrasts ascend."""
        from_zero = np.concatenate([np.zeros((len(curves), 1)), curves], 1)
        area = np.trapezoid(from_zero, np.concatenate([[0.0], contrasts]), axis=1)
        half, exponent = (
            each.ravel()
            for each in np.meshgrid(np.geomspace(0.01, 10, 121), np.linspace(0.5, 6, 111), indexing="ij")
        )
        powers = contrasts ** exponent[:, None]
        shapes = powers / (powers + half[:, None] ** exponent[:, None])
        # The best scale of each shape leaves |R|² − (R·s)²/|s|²: the best shape has the largest projection.
        best = ((curves @ shapes.T) / np.linalg.norm(shapes, axis=1)).argmax(1)
        seen = half[best] <= contrasts[-1]
        with np.errstate(invalid="ignore", divide="ignore"):
            saturation = 2 * area / (curves.max(1) * contrasts[-1]) - 1
        return cls(saturation, np.where(seen, half[best], np.nan), np.where(seen, exponent[best], np.nan))
