"""All of params.yaml, checked once before a run: every section by the library's class, and what fits what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.settings import KEYS, of_params, value
from robustness.cross_checks import check_sections
from robustness.errors import UserError, nearest
from robustness.evaluation import EvaluationSettings
from robustness.models import ModelSettings
from robustness.yaml_file import read_yaml


@dataclass(frozen=True)
class RunSettings:
    """What a run must know of its settings: threads of each stage, device, models, conditions."""

    threads: int | None
    device: str
    models: dict[str, ModelSettings]
    evaluation: EvaluationSettings


def check(path: Path) -> RunSettings:
    """Read and check params.yaml. Raises UserError that names the key, the value and what is allowed."""
    values = read_yaml(path)
    with of_params():
        for key in values:
            if key not in KEYS:
                raise UserError(f"unknown key; {nearest(str(key), KEYS)}", str(key))
        found = {key: value(values, key) for key in KEYS}
        check_sections(found)
    return RunSettings(*(found[name] for name in ("threads", "device", "models", "evaluation")))
