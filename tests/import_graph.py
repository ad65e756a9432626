"""Which module of the project imports which, read from the code: late and discovered imports included."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("pipeline", "robustness")
    for path in sorted((ROOT / package).rglob("*.py"))
}
SETTINGS = "pipeline.settings"
"""It imports by name the classes of the keys that a stage asks for; who wants these adds them."""
REGISTRY = "robustness.registry"
"""Its ``import_all`` imports the modules of the package that calls it."""


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of the project that a module imports, wherever it does so; for type checkers alone: not."""
    return known(names(module))


def known(found: Iterable[str]) -> frozenset[str]:
    """Those that are modules of this project, and the packages that they lie in."""
    parts = [name.split(".") for name in found]
    every = {".".join(each[: end + 1]) for each in parts for end in range(len(each))}
    return frozenset(every & MODULES.keys())


def names(module: str, *, late: bool = True) -> Iterator[str]:
    """What a module imports, ``from a import b`` as a and as a.b; without ``late`` not in functions."""
    yield from _names(ast.parse(MODULES[module].read_text()), module, late)


def _names(tree: ast.AST, module: str, late: bool) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node) == "import_all(__name__)":
            yield from (name for name in MODULES if name.rpartition(".")[0] == module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "import_module":
            assert module in (SETTINGS, REGISTRY), f"{module}: it cannot be seen what this imports"
        if late or not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield from _names(node, module, late)
