"""The questions of the report, each a section in a file of its own, found because it lies in this folder."""

from robustness.registry import import_all
from robustness.report.sections.registry import questions

__all__ = ["questions"]

import_all(__name__)
