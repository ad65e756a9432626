"""The questions of the report, each a section in a file of its own, found because it lies in this folder."""

from robustness.registry import import_all
from robustness.report.sections.registry import questions, write_section

__all__ = ["questions", "write_section"]

import_all(__name__)
