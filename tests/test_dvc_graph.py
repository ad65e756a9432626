"""dvc.yaml has no holes: a stage depends on every module that it imports and every parameter that it reads."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
CELLS = [name for name, entry in STAGES.items() if "foreach" in entry]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("pipeline", "reports", "robustness")
    for path in sorted((ROOT / package).rglob("*.py"))
}
FAMILIES = {
    name: f"robustness.architectures.{name}"
    for name in (path.stem for path in sorted((ROOT / "robustness" / "architectures").glob("*.py")))
    if name not in ("__init__", "registry")
}
SETTINGS = "pipeline.settings"


def entry_of(stage: str) -> dict[str, Any]:
    """What dvc.yaml says of a stage, or of its cells."""
    return STAGES[stage].get("do", STAGES[stage])


def reads_of(stage: str) -> tuple[str, ...]:
    """The keys of params.yaml that the stage declares in its code."""
    return import_module(f"pipeline.{stage}").READS


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of the project that a module imports, wherever it does so; for type checkers alone: not."""
    return frozenset(_known(_names(ast.parse(MODULES[module].read_text()), module)))


def _names(tree: ast.AST, module: str, *, late: bool = True) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "import_module" and module != SETTINGS:
            package = ast.unparse(node.args[0]).removeprefix("f").strip("'\"").rpartition(".")[0]
            package = package.replace("{__name__}", module)
            found = [name for name in MODULES if name.rpartition(".")[0] == package]
            assert found, f"{module}: {ast.unparse(node)}: this test does not see what it imports"
            yield from found
        if late or not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield from _names(node, module, late=late)


def _known(names: Iterator[str]) -> Iterator[str]:
    """Those of this project, and the packages that they lie in."""
    for name in names:
        parts = name.split(".")
        yield from (each for n in range(len(parts)) if (each := ".".join(parts[: n + 1])) in MODULES)


def used_settings(stage: str) -> set[str]:
    """The keys that a stage's code asks its settings for."""
    page = ast.parse(MODULES[f"pipeline.{stage}"].read_text())
    return {
        node.attr
        for node in ast.walk(page)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "settings"
    } - {"as_written"}


def settings_imports(stage: str) -> frozenset[str]:
    """What ``pipeline.settings`` imports for a stage: the classes of the keys that it asks for."""
    from pipeline.settings import CLASSES

    names = [*_names(ast.parse(MODULES[SETTINGS].read_text()), SETTINGS, late=False)]
    keys = used_settings(stage)
    names += [CLASSES[key].partition(":")[0] for key in keys if key in CLASSES]
    names += ["robustness.models"] * bool(keys & {"model", "models", "families"})
    return frozenset(_known(iter(names)))


def closure(stage: str, family: str | None = None) -> set[str]:
    """All modules that a stage can import; a cell those of its own ``family`` only.

    Left out: files without code, such as the ``__init__`` of most packages.
    """
    others = set(FAMILIES.values()) - {FAMILIES[family]} if family else set()
    seen: set[str] = set()
    waiting = [f"pipeline.{stage}"]
    while waiting:
        module = waiting.pop()
        if module not in seen and module not in others:
            seen.add(module)
            waiting += settings_imports(stage) if module == SETTINGS else imports(module)
    return {module for module in seen if has_code(module)}


@cache
def has_code(module: str) -> bool:
    body = ast.parse(MODULES[module].read_text()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def deps_of(stage: str, family: str | None = None) -> list[str]:
    return [dep.replace("${item.family}", family or "") for dep in entry_of(stage)["deps"]]


def covers(dep: str, path: str) -> bool:
    """Whether a change of the file ``path`` is a change of the dependency."""
    return path == dep or path.startswith(f"{dep}/")


def missing(stage: str, family: str | None = None) -> list[str]:
    """The files that a stage uses and does not depend on."""
    paths = sorted(str(MODULES[module].relative_to(ROOT)) for module in closure(stage, family))
    deps = deps_of(stage, family)
    return [path for path in paths if not any(covers(dep, path) for dep in deps)]
