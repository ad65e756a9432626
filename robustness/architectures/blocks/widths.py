"""Channel counts of a network that is made narrower or wider."""

from __future__ import annotations


def scaled(channels: int, width: float, divisor: int = 1) -> int:
    """``channels`` times ``width``, rounded to a multiple of ``divisor`` and at least ``divisor``.

    At width 1 the published count comes back unchanged, whatever the divisor.
    """
    if width == 1:
        return channels
    return max(divisor, round(channels * width / divisor) * divisor)
