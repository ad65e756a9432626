"""The questions that the report answers, and who writes the section of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from robustness.registry import Registry
from robustness.report.context import ReportContext
from robustness.report.document import Section


@dataclass(frozen=True)
class Question:
    """A question of the report; ``number`` is its place, ``write`` its section."""

    name: str
    write: Callable[[ReportContext], Section]
    number: int


QUESTIONS: Registry[Question] = Registry("section", Question)
register = QUESTIONS.register


def questions() -> list[Question]:
    """All questions, in the order of their numbers."""
    return sorted(QUESTIONS, key=lambda question: question.number)
