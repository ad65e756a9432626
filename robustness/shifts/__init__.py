"""Shifts (pose, plane, clutter, light, corruption): which factors there are, their levels, where they act.

A file of this folder that registers a factor is found because it lies here.
"""

from robustness.registry import import_all
from robustness.shifts.registry import Factor, Level, check, get, names

__all__ = ["Factor", "Level", "check", "get", "names"]

import_all(__name__)
