"""V1 front-ends: the fixed Gabor filter bank, its noise, and controls for each of them."""

from robustness.frontends.install import install, names
from robustness.frontends.noise import draws, is_stochastic, noise, sample_noise
from robustness.frontends.options import FrontendOptions

__all__ = ["FrontendOptions", "draws", "install", "is_stochastic", "names", "noise", "sample_noise"]
