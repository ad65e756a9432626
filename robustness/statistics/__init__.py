"""Intervals, tests and agreement for tables in which several samples share an object.

Everything here is NumPy in, named tuples out, and deterministic by seed.
"""

from robustness.statistics.agreement import ErrorConsistency, error_consistency, kappa
from robustness.statistics.bootstrap import (
    CONFIDENCE,
    RESAMPLES,
    Interval,
    StatisticsSettings,
    interval_of_draws,
    interval_over_objects,
    percentiles,
    resampling_weights,
    sums_by_object,
)
from robustness.statistics.correlation import Correlation, correlate_ranks, spearman, standard_ranks
from robustness.statistics.multiple import benjamini_hochberg, holm, max_statistic
from robustness.statistics.paired import (
    McNemar,
    PairedDifference,
    mcnemar,
    paired_difference,
    sign_flip_p,
    verdict,
)
from robustness.statistics.proportions import wilson

__all__ = [
    "CONFIDENCE",
    "RESAMPLES",
    "Correlation",
    "ErrorConsistency",
    "Interval",
    "McNemar",
    "PairedDifference",
    "StatisticsSettings",
    "benjamini_hochberg",
    "correlate_ranks",
    "error_consistency",
    "holm",
    "interval_of_draws",
    "interval_over_objects",
    "kappa",
    "max_statistic",
    "mcnemar",
    "paired_difference",
    "percentiles",
    "resampling_weights",
    "sign_flip_p",
    "spearman",
    "standard_ranks",
    "sums_by_object",
    "verdict",
    "wilson",
]
