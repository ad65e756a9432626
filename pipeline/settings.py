"""What a stage reads of params.yaml: the keys that it declares, each checked by the library's class for it.

A stage declares its keys as dvc.yaml lists them under ``params``: ``"training"``, ``"data.set"``; ``"model"``
stands for the entry of its own job in ``models``. Only the classes of these keys are imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.files import PARAMS
from robustness.errors import UserError, at, nearest
from robustness.settings import Settings, short
from robustness.yaml_file import read_yaml

if TYPE_CHECKING:
    from robustness.models import ModelSettings

# Key → the library's class for it. Front-end options are checked with those of a model.
CLASSES = {
    "data": "robustness.data.settings:DataSettings",
    "training": "robustness.training:Recipe",
    "evaluation": "robustness.evaluation:EvaluationSettings",
    "attack": "robustness.attacks:AttackSettings",
    "probe": "robustness.probes.settings:ProbeSettings",
    "statistics": "robustness.statistics.bootstrap:StatisticsSettings",
    "learning_curve": "robustness.learning_curve:LearningCurveSettings",
}


class Common(Settings):
    """The keys of params.yaml that are no section; ``device`` and ``threads`` are every stage's to read."""

    seed: int = Field(ge=0, lt=2**31)
    device: str = "auto"
    threads: int | None = Field(default=None, ge=1, le=256)

    def check(self) -> None:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise UserError(f"{self.device!r} is unknown; use auto, cpu, cuda or cuda:N", "device")


# The keys that params.yaml must have, and what the others are where they are left out.
OPTIONAL = {"device": "auto", "threads": None, "frontend": {}, "families": {}, "learning_curve": None}
KEYS = ("seed", "device", "threads", *CLASSES, "frontend", "models", "families")
ALWAYS = ("device", "threads")


class StageSettings:
    """The keys of params.yaml that a stage declared; any other is an AttributeError, a mistake in its code.

    A key is checked when it is first read; UserError is one line that names it.
    """

    def __init__(self, values: Mapping[str, Any], reads: Sequence[str], model: str | None = None) -> None:
        self._values, self._reads, self._model = values, tuple(reads), model
        self._found: dict[str, Any] = {}

    def __getattr__(self, key: str) -> Any:
        if key in self._reads or key in ALWAYS:
            return self._get(key)
        parts = [read.partition(".")[2] for read in self._reads if read.startswith(f"{key}.")]
        if not parts:
            raise AttributeError(f"the stage does not declare that it reads {key!r}; add it to its READS")
        whole = self._get(key)
        return SimpleNamespace(**{part: getattr(whole, part) for part in parts})

    def _get(self, key: str) -> Any:
        if key not in self._found:
            with of_params():
                self._found[key] = (
                    model(self._values, self._model) if key == "model" else value(self._values, key)
                )
        return self._found[key]

    def as_written(self) -> dict[str, Any]:
        """The sections that it declared, as they stand in params.yaml."""
        return {key: self._values.get(key, OPTIONAL.get(key)) for key in self._reads}


def load(reads: Sequence[str], model: str | None = None, path: Path = PARAMS) -> StageSettings:
    """The declared keys of params.yaml; raises UserError if it cannot be read."""
    return StageSettings(read_yaml(path), reads, model)


@contextmanager
def of_params() -> Iterator[None]:
    """Name the file in front of a message."""
    try:
        yield
    except UserError as error:
        raise UserError(f"params.yaml: {error}") from None


def value(values: Mapping[str, Any], key: str) -> Any:
    """The value of a key of params.yaml, checked; raises UserError that names what is wrong."""
    if key not in values and key not in OPTIONAL:
        raise UserError("is missing; add it (params.yaml of the repository shows every key)", key)
    if key in Common.model_fields:
        return getattr(Common.read({k: values[k] for k in Common.model_fields if k in values}), key)
    found = values.get(key, OPTIONAL.get(key))
    if found is None and key == "learning_curve":
        return None
    if key in CLASSES:
        module, _, name = CLASSES[key].partition(":")
        with at(key):
            return getattr(import_module(module), name).read(found)
    if not isinstance(found, dict) or (key == "models" and not found):
        raise UserError(f"must be a mapping with at least 1 key (found {short(found)})", key)
    return found if key == "frontend" else {name: model(values, name, key) for name in found}


def model(values: Mapping[str, Any], name: str, key: str = "models") -> ModelSettings:
    """The entry of that id in ``models`` or ``families``, checked; UserError names the nearest ids."""
    from robustness.models import ModelSettings, check_id

    known = values.get(key)
    if not isinstance(known, dict) or name not in known:
        raise UserError(f"{key} has no {name!r}; {nearest(name, map(str, known or ()))}")
    with at(key):
        check_id(name)
    with at(f"{key}.{name}"):
        return ModelSettings.read(known[name])
