"""The pictures of each probe, drawn from the arrays that it left.

A file of this folder that registers a probe's pictures is found because it lies here; a probe without one has
a grid of the arrays that it calls ``pictures/<row>``.
"""

from robustness.registry import import_all
from robustness.report.probes.registry import draw

__all__ = ["draw"]

import_all(__name__)
