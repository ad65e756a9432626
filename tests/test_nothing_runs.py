"""No data becomes code: nothing is unpickled or evaluated, and the UI listens on this machine alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = [path for name in ("pipeline", "robustness") for path in sorted((ROOT / name).rglob("*.py"))]
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
RUNNERS = {"eval", "exec", "compile", "__import__"}


def faults(text: str) -> Iterator[str]:
    """What in a module could run what a file holds."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] in UNPICKLERS)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNPICKLERS:
            # The exception alone may be named: it is what refusing to unpickle raises.
            yield from (f"{node.module}.{name.name}" for name in node.names if name.name != "UnpicklingError")
        elif isinstance(node, ast.Call):
            yield from _call_faults(node)


def _call_faults(node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    given = {word.arg: ast.unparse(word.value) for word in node.keywords}
    if called == "torch.load" and given.get("weights_only") != "True":
        yield f"{called} without weights_only=True"
    if given.get("allow_pickle", "False") != "False":
        yield f"{called} with allow_pickle"
    if called in RUNNERS or called in ("pd.read_pickle", "pandas.read_pickle", "os.system"):
        yield called
    if called in ("yaml.load", "yaml.load_all") or (
        called == "YAML" and given.get("typ") not in ("'safe'", "'rt'")  # both build plain values alone
    ):
        yield f"{called} with a loader that is not safe"
    if called.startswith("yaml.") and called.endswith(("unsafe_load", "full_load")):
        yield called
    if given.get("shell", "False") != "False":
        yield f"{called} through a shell"
    if called.endswith((".extractall", ".extract")):
        yield f"{called}, which writes where the archive says"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_becomes_code(path: Path) -> None:
    assert list(faults(path.read_text())) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "import joblib",
        "from pickle import loads",
        "from torch import load\ntorch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "YAML(typ='unsafe').load(text)",
        "YAML().load(text)",
        "subprocess.run(text, shell=True)",
        "archive.extractall(folder)",
    ],
)
def test_the_test_sees_it(text: str) -> None:
    assert list(faults(text))


def test_the_ui_listens_on_this_machine_alone() -> None:
    commands = [line for line in (ROOT / "Makefile").read_text().splitlines() if "mlflow ui" in line]
    assert commands
    for command in commands:
        assert re.findall(r"--host\s+(\S+)", command) == ["127.0.0.1"]
