"""All that the report is made from: the tables of a run, its pictures and its settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from robustness.scores import COLUMNS, Key
from robustness.scores.attacks import WHOLE
from robustness.scores.effects import majority

if TYPE_CHECKING:
    from robustness.data.image_set import ImageSet

TABLES = {
    "scores": COLUMNS,
    "models": ("model", "architecture", "frontend", "training", "width", "parameters", "epochs"),
    "predictions": ("model", "shift", "factor", "level", "sample", "object", "label", "prediction"),
    "attacks": (
        "model", "variant", "norm", "epsilon", "sample", "object", "label", "clean_correct", "robust", "by",
        "rung", "rungs", "right", "before",
    ),
    "checks": ("model", "check", "epsilon", "verdict", "figure", "limit", "detail"),
    "probes": ("model", "layer", "depth", "probe", "unit", "metric", "value"),
    "comparisons": ("metric", "model_a", "model_b", "difference", "low", "high", "p_holm", "n", "verdict"),
    "effects": (
        "axis", "a", "b", "held", "metric", "value", "low", "high", "architectures", "seeds", "objects",
        "verdict", "needed_architectures", "needed_objects",
    ),
    "noise": ("model", "noise", "epsilon", "robust_accuracy", "low", "high"),
    "eot": ("model", "eot_samples", "epsilon", "robust_accuracy", "low", "high"),
    "transfer": ("source", "target", "norm", "epsilon", "sample", "clean_right", "right"),
    "histories": ("model", "epoch", "loss", "validation_accuracy"),
    "learning_curve": (
        "model", "axis", "share", "objects", "images", "metric", "value", "low", "high", "n",
    ),
}  # fmt: skip
"""The columns that each table must have, also when it has no rows; others are free."""


def no_rows(name: str) -> pd.DataFrame:
    """A table of :data:`TABLES` with its columns alone."""
    return pd.DataFrame(columns=list(TABLES[name]))


@dataclass(frozen=True)
class Score:
    """A value with its 95 % interval (NaN where there is none) over ``n`` objects.

    An infinite value stands for one beyond the last level measured: *more than* ``low``.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0


@dataclass(frozen=True)
class Difference(Score):
    """A paired difference with its interval; ``p_holm``; verdict: higher, lower or undecided."""

    p_holm: float = math.nan
    verdict: str = "undecided"


@dataclass(frozen=True)
class Effect(Score):
    """The mean of a paired difference over architectures (or over the seeds of one), of ``scores.effects``.

    verdict: higher, lower, equivalent or undecided; then ``needed_architectures`` (seeds, of one
    architecture) or ``needed_objects`` would decide an effect as large as this.
    """

    architectures: int = 0
    seeds: int = 0
    verdict: str = "undecided"
    needed_architectures: float = math.inf
    needed_objects: float = math.inf


@dataclass(frozen=True)
class Sheet:
    """A picture of the data (a contact sheet): an image file and the caption that explains it.

    ``width`` is the share of the page's width that it takes; ``strip`` says that it shows one factor, level
    by level, and is shown beside others of its kind.
    """

    path: Path
    caption: str
    width: float = 1.0
    strip: bool = False


@dataclass(frozen=True)
class DataCard:
    """Facts of the image set: ``facts`` are (what, value) pairs, ``counts`` one row per (split, role).

    ``counts`` has the columns split, role, objects, images. ``description`` is the data card's text in
    Markdown: how the set was made, licences, limits. ``images`` is the set itself, where the report is to
    show contact sheets of it.
    """

    name: str
    classes: Sequence[str]
    image_size: int
    counts: pd.DataFrame
    facts: Sequence[tuple[str, str]] = ()
    description: str = ""
    sheets: Sequence[Sheet] = ()
    images: ImageSet | None = None


@dataclass(frozen=True)
class ReportInputs:
    """The tables of a run (columns of ``TABLES``, concatenated over models) and what surrounds them.

    ``params`` is params.yaml as a mapping: its ``models`` are the ones that the report must speak of, present
    or missing. ``comparisons`` is what ``scores.twins.compare_twins`` gives (empty: questions 4 and 7 say
    that nothing was compared), ``effects`` the means over architectures of ``scores.effects``; ``noise`` and
    ``eot`` are the studies ``noise_modes`` and ``eot_sweep`` of ``robustness.attacks``, ``transfer`` its
    table, ``learning_curve`` that of ``robustness.scores.from_learning_curve`` (all may be empty).
    ``pictures`` maps a model to its folder of results: in ``probe`` the arrays and pictures of each probe, in
    ``attack/images.npz`` adversarial images. ``environment`` holds versions, commit and the like, shown as
    they are. Raises ValueError if a table lacks a column of ``TABLES``.
    """

    params: Mapping[str, Any]
    scores: pd.DataFrame
    models: pd.DataFrame
    predictions: pd.DataFrame
    attacks: pd.DataFrame
    checks: pd.DataFrame
    probes: pd.DataFrame
    histories: pd.DataFrame
    data: DataCard
    comparisons: pd.DataFrame = field(default_factory=partial(no_rows, "comparisons"))
    effects: pd.DataFrame = field(default_factory=partial(no_rows, "effects"))
    noise: pd.DataFrame = field(default_factory=partial(no_rows, "noise"))
    eot: pd.DataFrame = field(default_factory=partial(no_rows, "eot"))
    transfer: pd.DataFrame = field(default_factory=partial(no_rows, "transfer"))
    learning_curve: pd.DataFrame = field(default_factory=partial(no_rows, "learning_curve"))
    pictures: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, columns in TABLES.items():
            missing = [column for column in columns if column not in getattr(self, name).columns]
            if missing:
                raise ValueError(f"table {name}: columns {', '.join(missing)} are missing")

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.params["seed"])

    @property
    def resamples(self) -> int:
        """Bootstrap resamples for every interval."""
        return int(self.params["statistics"]["resamples"])

    @cached_property
    def _scores(self) -> dict[tuple[str, str], Score]:
        found = {}
        for row in self.scores.itertuples():
            value, low, high = float(row.value), float(row.low), float(row.high)
            if math.isnan(value) and not math.isnan(low):
                value = high = math.inf  # beyond the last level measured: only the lower bound is known
            if not math.isnan(value):
                found[row.model, row.metric] = Score(value, low, high, int(row.n))
        return found

    @cached_property
    def whole_attacks(self) -> pd.DataFrame:
        """The attacks on whole clean images: those that robust accuracy counts."""
        return self.attacks[self.attacks["variant"] == WHOLE]

    def score(self, model: str, metric: str) -> Score | None:
        """The score of a model, or None where there is none."""
        return self._scores.get((model, metric))

    @cached_property
    def _differences(self) -> dict[tuple[str, str, str], Difference]:
        columns = ["difference", "low", "high", "n", "p_holm", "verdict"]
        names = self.comparisons[["model_a", "model_b", "metric"]].itertuples(index=False, name=None)
        values = self.comparisons[columns].itertuples(index=False, name=None)
        return {name: Difference(*value) for name, value in zip(names, values, strict=True)}

    def best_architecture(self, metric: str) -> tuple[str, str, Difference] | None:
        """(best model, median model, their difference) of ``scores.twins.compare_best``, or None."""
        if "axis" not in self.comparisons.columns:
            return None
        best = self.comparisons["axis"] == "architecture"
        rows = self.comparisons[best & (self.comparisons["metric"] == metric)]
        pairs = rows[["model_a", "model_b"]].itertuples(index=False, name=None)
        return next(((*pair, self._differences[*pair, metric]) for pair in pairs), None)

    def difference(self, a: str, b: str, metric: str) -> Difference | None:
        """The paired difference a − b of two models, or None where it was not made."""
        return self._differences.get((a, b, metric))

    @cached_property
    def _effects(self) -> dict[tuple[str, ...], Effect]:
        keys = self.effects[["axis", "a", "b", "held", "metric"]].itertuples(index=False, name=None)
        columns = ["value", "low", "high", "objects", "architectures", "seeds", "verdict",
                   "needed_architectures", "needed_objects"]  # fmt: skip
        values = self.effects[columns].itertuples(index=False, name=None)
        return {key: Effect(*value) for key, value in zip(keys, values, strict=True)}

    def effect(self, axis: str, a: str, b: str, held: str, metric: str) -> Effect | None:
        """The mean difference a − b on an axis, with the other axis at ``held``, or None."""
        return self._effects.get((axis, a, b, held, metric))

    @cached_property
    def majority(self) -> float:
        """The clean accuracy of always naming the most frequent class; 0 without clean predictions."""
        return majority(self.predictions)

    @cached_property
    def depths(self) -> dict[tuple[str, str], dict[str, float]]:
        """(model, probe) → layer → relative depth, for the layers that have one."""
        rows = self.probes.dropna(subset="depth").drop_duplicates(["model", "probe", "layer"])
        groups = rows.groupby(["model", "probe"], sort=False)
        return {pair: part.set_index("layer")["depth"].astype(float).to_dict() for pair, part in groups}

    @cached_property
    def keys(self) -> dict[str, Key]:
        """Metric → what it is of, in the order in which the metrics first appear."""
        once = self.scores.drop_duplicates("metric")
        return {row.metric: Key(*row[2:6]) for row in once[list(COLUMNS)].itertuples(index=False)}

    @cached_property
    def expected(self) -> tuple[str, ...]:
        """The models that params.yaml names."""
        return tuple(self.params["models"])

    @cached_property
    def present(self) -> tuple[str, ...]:
        """The models that params.yaml names and that have scores."""
        known = set(self.scores["model"])
        return tuple(name for name in self.expected if name in known)

    @cached_property
    def missing(self) -> dict[str, list[str]]:
        """What is not there: model → the names of the tables in which it has no row.

        Weights from elsewhere have no history.
        """
        tables = ("scores", "predictions", "attacks", "checks", "probes", "histories")
        have = {table: set(getattr(self, table)["model"].unique()) for table in tables}
        have["histories"] |= set(self.models.loc[self.models["epochs"] == 0, "model"])
        lacking = {name: [table for table in tables if name not in have[table]] for name in self.expected}
        return {name: tables for name, tables in lacking.items() if tables}
