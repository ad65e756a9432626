"""The models of a report in one order, each with its axes, family, year and look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from robustness.report.inputs import ReportInputs
from robustness.report.palette import FRONTENDS, TRAININGS, Look, look

NUMBERS = ("parameters", "multiply_adds", "epochs", "images", "attack_steps", "seed")
"""Columns of the table ``models`` that hold numbers; it may lack some."""


@dataclass(frozen=True)
class Model:
    """One model as the report shows it. Numbers that its table does not hold are NaN."""

    name: str
    architecture: str
    family: str
    year: int
    paper: str
    frontend: str
    training: str
    width: float
    parameters: float
    multiply_adds: float
    epochs: float
    images: float
    attack_steps: float
    seed: float
    weights: str

    @property
    def passes(self) -> float:
        """Forward and backward passes of single images in training, those of its attack included."""
        return self.epochs * self.images * (1 + self.attack_steps)

    @property
    def lineage(self) -> str:
        """Its family, with the year where one is known."""
        return f"{self.family} ({self.year})" if self.year else self.family

    @property
    def look(self) -> Look:
        """How its points and lines are drawn."""
        return look(self.family, self.frontend)


class ModelTable(tuple[Model, ...]):
    """The models of a report: oldest family first, then architecture, front-end, training."""

    @classmethod
    def of(cls, inputs: ReportInputs) -> ModelTable:
        """The models that params.yaml names and that have scores."""
        rows = inputs.models.drop_duplicates("model", keep="last").set_index("model").to_dict("index")
        models = [_model(name, rows.get(name, {}), inputs.params["models"][name]) for name in inputs.present]
        return cls(sorted(models, key=_place))

    def by_name(self, name: str) -> Model | None:
        """The model of that name, or None."""
        return next((model for model in self if model.name == name), None)

    @property
    def architectures(self) -> list[str]:
        """The architectures, oldest first."""
        return list(dict.fromkeys(model.architecture for model in self))

    def of_architecture(self, architecture: str) -> list[Model]:
        """The models of one architecture."""
        return [model for model in self if model.architecture == architecture]

    def where(self, **equals: str) -> list[Model]:
        """The models whose attributes have the given values."""
        return [m for m in self if all(getattr(m, key) == value for key, value in equals.items())]

    def grid(self) -> list[Model]:
        """The models of the plain comparison: canonical training, learned or V1 front-end."""
        return [m for m in self if m.training == "canonical" and m.frontend in ("learned", "vone")]

    def pairs(self, axis: str, first: str, second: str) -> list[tuple[Model, Model]]:
        """(model with ``axis`` = first, its twin with second, all else equal), in the order of the table."""
        firsts = self.where(**{axis: first})
        return [(model, twin) for model in firsts for twin in self.twins(model, **{axis: second})]

    def twins(self, model: Model, **changed: str) -> list[Model]:
        """The models that equal one, seed included, but for the given attributes."""
        axes = ("architecture", "frontend", "training", "width")
        same = {name: getattr(model, name) for name in axes} | changed
        # NaN, where the table does not say the seed, equals itself here.
        return [twin for twin in self.where(**same) if str(twin.seed) == str(model.seed)]


def _model(name: str, row: dict, settings: dict) -> Model:
    from robustness.weights.metadata import metadata

    architecture = str(row.get("architecture", settings.get("architecture")))
    entry = metadata(architecture)
    number = {key: float(row.get(key, math.nan)) for key in NUMBERS}
    return Model(
        name=name,
        architecture=architecture,
        family=entry.family,
        year=entry.year,
        paper=entry.paper,
        frontend=str(row.get("frontend", settings.get("frontend", "learned"))),
        training=str(row.get("training", settings.get("training", "canonical"))),
        width=float(row.get("width", settings.get("width", 1.0))),
        weights=str(row.get("weights", row.get("weights_hash", ""))),
        **number,
    )


def _place(model: Model) -> tuple:
    frontends, trainings = ({name: i for i, name in enumerate(names)} for names in (FRONTENDS, TRAININGS))
    frontend, training = frontends.get(model.frontend, 99), trainings.get(model.training, 99)
    return (model.year, model.family, _natural(model.architecture), frontend, training, model.name)


def _natural(text: str) -> tuple:
    """Numbers in a name count as numbers: resnet18 before resnet101."""
    digits = "".join(c if c.isdigit() else " " for c in text).split()
    return ("".join(c for c in text if not c.isdigit()), *map(int, digits))


def families(models: Sequence[Model]) -> dict[str, dict[str, object]]:
    """Legend entries (keywords of ``Line2D``): each family's marker in its colour."""
    return {m.family: {"color": m.look.colour, "marker": m.look.marker, "linestyle": "none"} for m in models}


def frontends(models: Sequence[Model]) -> dict[str, dict[str, object]]:
    """Legend entries: each front-end's line style in black."""
    return {m.frontend: {"color": "black", "linestyle": m.look.line} for m in models}
