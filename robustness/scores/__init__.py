"""From the tables of a run to scores: one row per model and metric, with value, interval and n.

Metric names are paths, the same in the scores, in MLflow and in the report; ``describe`` says in words what
one is, its unit and which direction is better.
"""

from robustness.scores.association import association
from robustness.scores.attacks import from_attacks
from robustness.scores.calibration import from_confidences
from robustness.scores.collated import (
    collated,
    computed,
    corruption_normaliser,
    curves,
    headlines,
    joined,
    summary,
    worst_case_metrics,
)
from robustness.scores.comparison import compare
from robustness.scores.conditions import Condition, Key
from robustness.scores.consistency import error_consistencies
from robustness.scores.effects import effects
from robustness.scores.labels import Label, describe
from robustness.scores.learning_curve import compare_largest, from_learning_curve
from robustness.scores.predictions import from_predictions
from robustness.scores.probes import from_probes
from robustness.scores.table import COLUMNS, metrics_matching, wide
from robustness.scores.twins import set_apart
from robustness.scores.unknown import from_unknown

__all__ = [
    "COLUMNS",
    "Condition",
    "Key",
    "Label",
    "association",
    "collated",
    "compare",
    "compare_largest",
    "computed",
    "corruption_normaliser",
    "curves",
    "describe",
    "effects",
    "error_consistencies",
    "from_attacks",
    "from_confidences",
    "from_learning_curve",
    "from_predictions",
    "from_probes",
    "from_unknown",
    "headlines",
    "joined",
    "metrics_matching",
    "set_apart",
    "summary",
    "wide",
    "worst_case_metrics",
]
