"""Numbers as text, in one way everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from robustness.report.document import EMPTY, NOTHING, Cell
from robustness.report.inputs import Difference, Score

MINUS = "−"


def percent(value: float, digits: int = 1) -> str:
    """A fraction as per cent without its sign: 0.8312 → 83.1."""
    return NOTHING if math.isnan(value) else _minus(f"{100 * value:.{digits}f}")


def number(value: float, digits: int = 2) -> str:
    """A plain number; infinite as ∞."""
    if math.isnan(value):
        return NOTHING
    return ("∞" if value > 0 else MINUS + "∞") if math.isinf(value) else _minus(f"{value:.{digits}f}")


def signed(value: float, digits: int = 1) -> str:
    """A difference of fractions in points, with its sign: 0.05 → +5.0."""
    if math.isnan(value):
        return NOTHING
    return _minus(f"{100 * value:+.{digits}f}")


def _bracketed(score: Score, show: Callable[[float], str], unit: str = "") -> str:
    """A value with its unit and, where it is known, its interval in brackets."""
    text = show(score.value) + unit
    if math.isnan(score.low) or math.isnan(score.high):
        return text
    return f"{text} [{show(score.low)}, {show(score.high)}]"


def interval(score: Score) -> str:
    """A fraction in per cent with its interval: 83.1 [79.2, 86.8]."""
    return _bracketed(score, percent)


def interval_plain(score: Score, digits: int = 2) -> str:
    """A plain number with its interval; one beyond the last level measured as > lower bound."""
    if math.isinf(score.value):
        return f"> {number(score.low, digits)}"
    return _bracketed(score, partial(number, digits=digits))


def interval_signed(score: Score) -> str:
    """A difference in points with its interval: +5.0 [+1.2, +8.8]."""
    return _bracketed(score, signed)


def share(score: Score) -> str:
    """For sentences: 83.1 % [79.2, 86.8]."""
    return _bracketed(score, percent, " %")


def points(score: Score) -> str:
    """For sentences: +5.0 points [+1.2, +8.8]."""
    return _bracketed(score, signed, " points")


def told(difference: Difference) -> str:
    """For sentences: +5.0 points [−1.2, +8.8] (undecided)."""
    return points(difference) + (" (undecided)" if difference.verdict == "undecided" else "")


def loss(score: Score) -> str:
    """A drop for sentences, without sign: 23.0 points [18.1, 27.9]."""
    return _bracketed(score, percent, " points")


def score_cell(score: Score | None, tone: str = "") -> Cell:
    """A fraction in per cent with interval as a cell; a dash where there is none."""
    return EMPTY if score is None else Cell(interval(score), score.value, tone)


def plain_cell(value: float | Score | None, digits: int = 2, tone: str = "") -> Cell:
    """A plain number (with interval if it is a Score) as a cell."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return EMPTY
    if isinstance(value, Score):
        return Cell(interval_plain(value, digits), value.value, tone)
    return Cell(number(value, digits), value, tone)


def count_cell(value: float) -> Cell:
    """A count with thin spaces between thousands."""
    if math.isnan(value):
        return EMPTY
    return Cell(f"{value:,.0f}".replace(",", "\u202f"), value)


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names in a sentence: a, b and c; past ``most`` only so many and the number of the others."""
    names = list(names)
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def of(count: int, total: int, noun: str) -> str:
    """3 of 12 models; all 12 models; none of the 12 models."""
    if total == 1:
        return f"the one {noun}" if count else f"not the one {noun}"
    plural = f"{noun}s"
    if count == 0:
        return f"none of the {total} {plural}"
    return f"all {total} {plural}" if count == total else f"{count} of {total} {plural}"


def are(count: int, total: int, noun: str) -> str:
    """The same with its verb: 3 of 12 models are, the one model is."""
    return f"{of(count, total, noun)} {'is' if total == 1 or count == 1 else 'are'}"


def capital(text: str) -> str:
    """First letter large, the others as they are."""
    return text[:1].upper() + text[1:]


def _minus(text: str) -> str:
    """A true minus sign, and none before a zero that rounding left."""
    return text.lstrip("-+") if float(text) == 0 else text.replace("-", MINUS)
