"""Everything that the cells of a model import, also what they import late: see warm_start."""

# ruff: noqa: F401
import captum.attr
import matplotlib.pyplot
import openTSNE
import sklearn.cluster
import sklearn.manifold
import sklearn.metrics
import timm.layers
import timm.models

from pipeline import adopt, attack, evaluate, learning_curve, library_settings, probe, train
from robustness import architectures, attacks, frontends, probes, weights
from robustness.data import photos
