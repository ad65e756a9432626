"""Imports run one way: pipeline → robustness, and inside robustness from layer to lower layer."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import import_graph
import pytest

ROOT = Path(__file__).resolve().parents[1]

# Top to bottom: a part imports parts of lower layers only; parts of one layer do not see each other.
LAYERS = (
    {"pipeline"},
    {"robustness.interface"},
    {"robustness.report"},
    {"robustness.learning_curve", "robustness.cross_checks"},
    {"robustness.weights"},
    {"robustness.training", "robustness.evaluation", "robustness.attacks", "robustness.probes"},
    {"robustness.models", "robustness.tracking"},
    {"robustness.frontends"},
    {"robustness.architectures", "robustness.data"},
    {"robustness.shifts"},
    {"robustness.scores"},
    {"robustness.statistics"},
    {
        "robustness.seeds",
        "robustness.devices",
        "robustness.whole_files",
        "robustness.augmentation",
        "robustness.progress",
        "robustness.processor",
        "robustness.provenance",
        "robustness.yaml_file",
    },
    {"robustness.settings", "robustness.registry"},
    {"robustness.errors"},
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}


def part_of(module: str) -> str | None:
    """The part of the project that a dotted module name belongs to; None for other packages."""
    names = module.split(".")
    if names[0] == "pipeline":
        return names[0]
    if names[0] == "robustness" and len(names) > 1:
        return ".".join(names[:2])
    return None


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; name the package"
            if node.module in ("robustness", "pipeline"):
                yield from (f"{node.module}.{name.name}" for name in node.names)
            elif node.module:
                yield node.module


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = sorted(path for package in ("pipeline", "robustness") for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_run_one_way(path: Path) -> None:
    own = part_of(module_name(path))
    if own is None:  # the bare package robustness
        assert not [name for name in imports(path) if part_of(name)]
        return
    assert own in LEVEL, f"{own} has no layer: give it one in this test and in the design"
    for name in imports(path):
        other = part_of(name)
        if other is not None and other != own:
            assert LEVEL[own] < LEVEL[other], f"{module_name(path)} must not import {name}"


def test_there_are_no_circles() -> None:
    """Late imports counted; a module's import of its own package is none of it."""
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " → ".join((*way[way.index(name) :], name))
        if name not in done:
            for target in sorted(import_graph.imports(name)):
                if target != name and not name.startswith(f"{target}."):
                    visit(target, (*way, name))
            done.add(name)

    for name in import_graph.MODULES:
        visit(name, ())


def test_only_the_pipeline_knows_params_and_dvc() -> None:
    for path in FILES:
        if path.is_relative_to(ROOT / "pipeline"):
            continue
        names = set(imports(path))
        assert not {"dvc", "yaml"} & {name.split(".")[0] for name in names}, f"{path} reads settings itself"


def test_set_up_files_hold_no_addresses() -> None:
    for name in ("requirements.lock", "pyproject.toml", "Makefile", ".ci/run"):
        assert "://" not in (ROOT / name).read_text().replace("sqlite:///", ""), name


def test_every_stop_of_the_walk_is_there() -> None:
    stops = re.findall(r"^\| \d+ \| `(\S+)` `(\w+)`", (ROOT / "docs" / "walk.md").read_text(), re.MULTILINE)
    assert 20 <= len(stops) <= 25
    for path, name in stops:
        tree = ast.parse((ROOT / path).read_text())
        named = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        named |= {each.id for node in tree.body if isinstance(node, (ast.Assign, ast.AnnAssign))
                  for each in ast.walk(node) if isinstance(each, ast.Name)}  # fmt: skip
        assert name in named, f"{path} has no {name}"
