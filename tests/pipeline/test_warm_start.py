"""Cells that are forked from a process with everything imported: as separate as ones started anew."""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path

import pytest

from pipeline import cells, warm_start

pytestmark = pytest.mark.skipif(
    not warm_start.can_start(["python", "-m", "pipeline.train"]), reason="this system cannot fork cells"
)
TELLS = """
import os, sys
print(__name__, sys.argv[1:], os.environ["ASKED"], os.getcwd())
print("imported", all(name in sys.modules for name in ("torch", "timm", "foolbox", "captum", "openTSNE")))
print("to stderr", file=sys.stderr)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that a fork finds; the folder that it runs in."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def run(folder: Path, text: str) -> tuple[int, str]:
    (folder / "tells.py").write_text(text)
    log = folder / "log"
    environment = os.environ | {"ASKED": "for"}
    status = warm_start.run(["python", "-m", "tells", "--model", "a"], folder, log, environment)
    return status, log.read_text()


def test_it_runs_as_the_main_module_with_arguments_folder_environment_and_log(module: Path) -> None:
    status, told = run(module, TELLS)
    assert status == 0
    assert f"__main__ ['--model', 'a'] for {module}" in told
    assert "imported True" in told
    assert "to stderr" in told


def test_one_leaves_nothing_to_the_next(module: Path) -> None:
    change = "import os, torch\nprint(torch.get_num_threads(), os.environ.get('LEFT'))\n"
    first = run(module, change + "torch.set_num_threads(1)\nos.environ['LEFT'] = 'behind'\n")
    assert run(module, change) == (0, first[1])
    assert "None" in first[1]


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        ("raise SystemExit(2)", 2, ""),
        ("raise ValueError('broken here')", 1, "broken here"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
    ],
    ids=["status", "exception", "killed"],
)
def test_how_it_ended_is_told(text: str, status: int, told: str, module: Path) -> None:
    ended = run(module, text)
    assert ended[0] == status
    assert told in ended[1]


def test_other_commands_start_on_their_own() -> None:
    for command in ("python cell.py train a", "python -m json.tool", "echo pipeline.train", "python -m"):
        assert not warm_start.can_start(shlex.split(command))


def test_the_engine_forks_the_stages_and_logs_a_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("seed: [\n")
    with cells.processes(1) as engine:
        status, seconds = engine.submit(tmp_path, "train@a", "python -m pipeline.train --model a").result()
    assert status == 2
    assert seconds > 0
    told = (tmp_path / cells.LOGS / "train@a.log").read_text()
    assert told.startswith("error: params.yaml: not valid YAML")
    assert told.count("\n") == 1
