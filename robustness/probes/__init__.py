"""Visualization probes: what a network learned, as pictures and as numbers, for any architecture.

A file of this folder that registers a probe is found because it lies here.
"""

from robustness.probes.registry import get, names, run
from robustness.probes.result import COLUMNS, ProbeResult, Progress
from robustness.registry import import_all

__all__ = ["COLUMNS", "ProbeResult", "Progress", "get", "names", "run"]

import_all(__name__)
