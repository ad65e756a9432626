"""The factors of shifts by id (``shift/factor``): with which levels, where each acts, and what it does."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

from robustness.errors import UserError
from robustness.registry import Registry
from robustness.shifts.image_factors import TARGET, Draws

if TYPE_CHECKING:
    from robustness.shifts.background import Donors

Level = float | int | str


@dataclass(frozen=True)
class Factor:
    """One factor of a shift, with the levels that the default run measures.

    ``clean_level`` is the level at which the image is the clean image itself. ``applies`` says where the
    factor acts: ``image`` (on any image), ``masked`` (on images with exact masks), ``rendered`` (in the 3-D
    scene). ``effect``: ``(images, level, draws, **extras) -> images``, where ``extras`` are ``masks``
    (N, H, W) bool of the target for a masked factor and ``donors``, ``labels``, ``ids`` for one that needs
    donors; of a rendered factor ``(view, level) -> fields of the view that change``. ``limits``, for numeric
    factors, are the smallest and the largest level that make sense; without limits only the levels listed
    are allowed. ``whole``: levels are counts. ``requirement`` raises UserError where something is not
    installed that the factor needs. ``description``: a clause for tables; left out, the first
    sentence of the effect's docstring.
    """

    id: str
    effect: Callable[..., Any]
    levels: tuple[Level, ...]
    clean_level: Level
    unit: str
    applies: Literal["rendered", "image", "masked"] = "image"
    description: str = ""
    limits: tuple[float, float] | None = None
    whole: bool = False
    needs_donors: bool = False
    requirement: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        if not self.description:
            text = " ".join((inspect.getdoc(self.effect) or "").partition("\n\n")[0].split()).rstrip(".")
            object.__setattr__(self, "description", text[:1].lower() + text[1:])

    @property
    def shift(self) -> str:
        """The shift that it belongs to: pose, plane, clutter …"""
        return self.id.partition("/")[0]

    @property
    def name(self) -> str:
        """Its name within the shift."""
        return self.id.partition("/")[2]

    @property
    def needs_masks(self) -> bool:
        """Whether it acts on images with exact masks only."""
        return self.applies == "masked"

    def parse(self, level: Level, *, text: bool = True) -> Level:
        """The level as a number or word, from its value or, with ``text``, its text. UserError if it is not
        allowed."""
        if self.limits is None:
            for known in self.levels:
                if level == known or (text and str(level) == _text(known)):
                    return known
            allowed = ", ".join(map(_text, self.levels))
            raise UserError(f"shifts: {self.id} has no level {level!r}; allowed are {allowed}")
        low, high = self.limits
        try:
            unusual = isinstance(level, bool) or (isinstance(level, str) and not text)
            value = math.nan if unusual else float(level)
        except (TypeError, ValueError):
            value = math.nan
        if not low <= value <= high or (self.whole and value != int(value)):
            kind = "whole number" if self.whole else "number"
            raise UserError(
                f"shifts: {self.id} level {level!r} is not a {kind} from {low:g} to {high:g} {self.unit}"
            )
        return value

    def require(self) -> None:
        """Raises UserError where something that it needs is not installed."""
        if self.requirement is not None:
            self.requirement()

    def apply(
        self,
        images: Tensor,
        level: Level,
        *,
        seeds: Sequence[int],
        masks: Tensor | None = None,
        donors: Donors | None = None,
        labels: Tensor | None = None,
        ids: Tensor | None = None,
    ) -> Tensor:
        """The images under this factor at ``level`` (a number, a word or the text of either).

        images: (N, 3, H, W) float32 in [0, 1]; seeds: one per sample; masks: (N, H, W), 1 (or True) on the
        target; donors, labels (N,) and ids (N,): for background swaps, see
        :mod:`~robustness.shifts.background`. Returns the same shape and range; at the clean level the images
        themselves, bit for bit. Raises UserError if the level is not allowed or something needed is missing.
        """
        level = self.parse(level)
        if images.ndim != 4 or len(seeds) != len(images):
            raise ValueError(f"images {tuple(images.shape)} with {len(seeds)} seeds")
        if level == self.clean_level or len(images) == 0:
            return images
        extras: dict[str, object] = {}
        if self.needs_masks:
            if masks is None:
                raise UserError(f"shifts: {self.id} needs exact masks of the target; this image set has none")
            if masks.shape != (len(images), *images.shape[2:]):
                raise ValueError(f"masks {tuple(masks.shape)} for images {tuple(images.shape)}")
            extras["masks"] = masks.to(images.device) == TARGET
        if self.needs_donors:
            extras |= {"donors": donors, "labels": labels, "ids": ids}
        return self.effect(images, level, Draws(seeds, images.device), **extras).clamp(0, 1)


def _text(level: Level) -> str:
    return level if isinstance(level, str) else format(level, "g")


FACTORS: Registry[Factor] = Registry("factor", Factor)
register, get = FACTORS.register, FACTORS.get


def names(applies: str | None = None) -> list[str]:
    """The ids of all factors, or of those that apply to: rendered, image, masked."""
    return [factor.id for factor in FACTORS if applies in (None, factor.applies)]


def check(shift: str, factor: str, level: Level) -> Factor:
    """The factor, if it is known and ``level`` is one that it allows; else UserError in one line."""
    found = get(f"{shift}/{factor}")
    found.parse(level, text=False)
    return found
