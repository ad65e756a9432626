"""The settings of a V1 front-end, with the published values as defaults, and the checks on them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from robustness.errors import UserError, nearest

PUBLISHED_PIXELS_PER_DEGREE = 28.0
"""224 pixels for 8 degrees of the visual field (Dapello et al., NeurIPS 2020)."""

SAMPLINGS = ("published", "uniform")
NOISES = ("neuronal", "gaussian", "none")


@dataclass(frozen=True)
class FrontendOptions:
    """What a front-end is made of. The defaults are those of VOneNet (Dapello et al., NeurIPS 2020).

    simple_channels, complex_channels: cells of each kind; a complex cell has a quadrature pair of filters.
    kernel_size: side of the square filters, pixels, odd.
    visual_degrees: degrees of the visual field that the image side stands for; None keeps the published
        28 pixels per degree, so the filters have the published size in pixels: 8° for 224 pixels,
        64/28 ≈ 2.3° for 64 (``subcortical`` and ``evnet``: 32 pixels per degree, 7° and 2°).
    sf_min, sf_max: range of the preferred spatial frequencies, cycles per degree; the bins of the published
        table inside it are kept. sf_max must not pass pixels_per_degree / (2√2).
    sampling: ``published`` distributions with the coupling of frequency and width, or the control
        ``uniform``: the same ranges, every bin equally likely on its (logarithmic) axis, no coupling.
    gain: factor on the filters' responses.
    noise: ``neuronal`` (variance grows with the response), ``gaussian`` (constant) or ``none``; what a
        front-end's name fixes (``gabor`` has no noise) takes precedence.
    noise_scale, noise_level: of the neuronal noise, x ← scale·x + level before it is added.
    gaussian_std: standard deviation of the Gaussian noise, in units of the response.
    image_std: that of ``image_noise``, in units of the normalised image; one is a quarter of the way from
        black to white in models that are trained here. 0.86 hides as much of the difference between two
        natural images as the noise of a V1 block of 64 + 64 channels at stride 4 (0.21 of the way for both,
        :func:`robustness.probes.filters.noise_equivalent_sd`).
    minimum_stride: the smallest stride of the filter bank, pixels; 1: the stem's own stride. Where a stem's
        stride is smaller, the map is interpolated bilinearly to the stem's size after the bottleneck: a
        deviation that makes stride-1 stems affordable.
    batch_norm: a batch normalisation after the bottleneck: off as published; a deviation that helps training.
    """

    simple_channels: int = 256
    complex_channels: int = 256
    kernel_size: int = 25
    visual_degrees: float | None = None
    sf_min: float = 0.5
    sf_max: float = 8.0
    sampling: str = "published"
    gain: float = 25.0
    noise: str = "neuronal"
    noise_scale: float = 0.35
    noise_level: float = 0.07
    gaussian_std: float = 1.0
    image_std: float = 0.86
    minimum_stride: int = 1
    batch_norm: bool = False

    def __post_init__(self) -> None:
        for key in ("simple_channels", "complex_channels"):
            if getattr(self, key) < 0:
                raise UserError(f"frontend.{key}: {getattr(self, key)} is negative; use 0 or more")
        if self.simple_channels + self.complex_channels == 0:
            raise UserError(
                "frontend.simple_channels and complex_channels are both 0; give at least one cell"
            )
        if self.kernel_size < 3 or self.kernel_size % 2 == 0:
            raise UserError(f"frontend.kernel_size: {self.kernel_size} must be odd and at least 3")
        if self.visual_degrees is not None and not self.visual_degrees > 0:
            raise UserError(f"frontend.visual_degrees: {self.visual_degrees} must be above 0")
        if not 0 <= self.sf_min < self.sf_max:
            raise UserError(
                f"frontend.sf_min, sf_max: {self.sf_min:g} to {self.sf_max:g} is no range of frequencies; "
                "use 0 <= sf_min < sf_max"
            )
        for key, allowed in (("sampling", SAMPLINGS), ("noise", NOISES)):
            value = getattr(self, key)
            if value not in allowed:
                raise UserError(f"frontend.{key}: {value!r} is unknown; {nearest(str(value), allowed)}")
        for key in ("gain", "noise_scale", "noise_level", "gaussian_std", "image_std"):
            if not getattr(self, key) > 0:
                raise UserError(f"frontend.{key}: {getattr(self, key)} must be above 0")
        if self.minimum_stride < 1:
            raise UserError(f"frontend.minimum_stride: {self.minimum_stride} must be at least 1")

    def pixels_per_degree(self, image_size: int, published: float = PUBLISHED_PIXELS_PER_DEGREE) -> float:
        """Pixels of the image per degree of the visual field, `published` ones without visual_degrees.

        Raises UserError if sf_max is above the limit that this sampling of the visual field allows: a
        grating of any orientation needs two pixels per period along the diagonal.
        """
        degrees = self.visual_degrees
        ppd = published if degrees is None else image_size / degrees
        limit = ppd / (2 * math.sqrt(2))
        if self.sf_max > limit:
            raise UserError(
                f"frontend.sf_max: {self.sf_max:g} cycles/degree is above the limit of {limit:.2f} at "
                f"{ppd:.4g} pixels/degree ({image_size} pixels for {image_size / ppd:.4g} degrees); "
                "lower sf_max or visual_degrees"
            )
        return ppd
