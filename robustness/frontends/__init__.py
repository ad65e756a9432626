"""V1 front-ends: the fixed Gabor filter bank, its noise, controls for each of them, and their rivals.

Every file of this folder that registers a front-end is found because it lies here; parts that they share lie
in ``blocks``.
"""

from robustness.frontends.blocks.noise import draws, is_stochastic, noise, sample_noise
from robustness.frontends.install import install
from robustness.frontends.options import FrontendOptions
from robustness.frontends.registry import names
from robustness.registry import import_all

__all__ = ["FrontendOptions", "draws", "install", "is_stochastic", "names", "noise", "sample_noise"]

import_all(__name__)
