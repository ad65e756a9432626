"""The profiles: valid, twins that differ in one axis, the same to DVC as to the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.check import check
from robustness.errors import UserError
from robustness.yaml_file import read_yaml

ROOT = Path(__file__).resolve().parents[2]
PROFILES = [ROOT / "params.yaml", *sorted((ROOT / "profiles").glob("*.yaml"))]


@pytest.mark.parametrize("path", PROFILES, ids=lambda p: p.stem)
def test_every_profile_is_valid(path: Path) -> None:
    check(path)


def test_the_evidence_is_of_the_models_of_the_default_run() -> None:
    default, evidence = (read_yaml(path) for path in (ROOT / "params.yaml", ROOT / "profiles/evidence.yaml"))
    for section in ("training", "frontend"):
        assert evidence[section] == default[section], section
    for name, family in evidence["families"].items():
        assert family == default["families"][name], name


# What may tell models of one anchor apart: the compared axes and the replicate.
AXES = {"frontend", "training", "seed"}


@pytest.mark.parametrize("path", PROFILES, ids=lambda p: p.stem)
def test_twins_differ_in_the_compared_axis_alone(path: Path) -> None:
    settings = read_yaml(path)
    families = settings.get("families", {}).values()
    for name, model in settings["models"].items():
        alone = without_axes(model)
        siblings = [other for other in settings["models"].values() if without_axes(other) == alone]
        same = [tuple(other.get(axis) for axis in sorted(AXES)) for other in siblings]
        assert len(set(same)) == len(same), f"{name} stands there twice"
        # What is not of a family has no twin and no axis: it stands for itself.
        assert alone in [without_axes(family, model.get("training")) for family in families] or (
            len(siblings) == 1 and "training" not in model
        ), name
    assert all(not AXES & set(family) for family in families)


def without_axes(model: dict, training: str | None = None) -> dict:
    """What is left is a family's. Another training may have other epochs: each may cost more."""
    alone = {key: value for key, value in model.items() if key not in AXES}
    if model.get("training", training) and "recipe" in alone:
        alone["recipe"] = {key: value for key, value in alone["recipe"].items() if key != "epochs"}
    return alone


def test_the_default_grid_is_every_family_with_both_front_ends() -> None:
    models = read_yaml(ROOT / "params.yaml")["models"]
    families = read_yaml(ROOT / "params.yaml")["families"]
    assert len(families) == 14
    for name, family in families.items():
        assert models[name] == family | {"frontend": "learned"}
        assert models[f"{name}_vone"] == family | {"frontend": "vone"}


@pytest.mark.parametrize("path", PROFILES, ids=lambda p: p.stem)
def test_dvc_reads_the_same(path: Path) -> None:
    from dvc.utils.serialize import load_yaml

    assert load_yaml(str(path)) == read_yaml(path)


def test_merged_keys_may_be_replaced_and_no_key_stands_twice(tmp_path: Path) -> None:
    path, text = tmp_path / "some.yaml", "a: &a {x: 1, y: 2}\nb: &b {<<: *a, y: 3}\nc: {<<: *b, x: 4}\n"
    path.write_text(text)
    assert read_yaml(path) == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 4, "y": 3}}
    for wrong, message in (
        (text + "d: {<<: *a, z: 1, z: 2}", "stands twice"),
        ("a: {<<: 3}", "not valid YAML"),
    ):
        path.write_text(wrong)
        with pytest.raises(UserError, match=message):
            read_yaml(path)
