"""A run of made-up cells under DVC. Every command leaves a line in its own count: how often did it run?"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.cells import dvc

MODELS = "abc"
CELL = "python cell.py {stage} ${{item.model}}"
DVC_YAML = "stages:\n  render:\n    cmd: python cell.py render all\n    outs: [images]\n" + "".join(
    f"""  {stage}:
    matrix: {{model: [{", ".join(MODELS)}]}}
    cmd: {CELL.format(stage=stage)}
    deps: [{dep}]
    outs: ["{stage}_${{item.model}}"]
"""
    for stage, dep in (
        ("train", "images"),
        ("evaluate", '"train_${item.model}"'),
        ("attack", '"train_${item.model}"'),
        ("probe", '"train_${item.model}"'),
    )
)
# break_<cell>: it fails. kill_<cell>: so often as the file has letters, it kills who started it, and stays.
CELL_PY = """
import os, pathlib, signal, sys, time
from pipeline import lifeline
lifeline.end_with_run()
stage, model = sys.argv[1:]
count = pathlib.Path(f"count_{stage}_{model}")
count.write_text((count.read_text() if count.exists() else "") + "x")
if pathlib.Path(f"break_{stage}_{model}").exists():
    print("this cell is broken")
    sys.exit(2)
kill = pathlib.Path(f"kill_{stage}_{model}")
if kill.exists() and kill.read_text():
    kill.write_text(kill.read_text()[1:])
    pathlib.Path(f"orphan_{stage}_{model}").write_text(str(os.getpid()))
    print("this cell kills", flush=True)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)
pathlib.Path("images" if stage == "render" else f"{stage}_{model}").write_text(stage + model)
"""


def needs_ray() -> None:
    """Skip a test where Ray is not installed, without importing it: what it listens on is set before."""
    if find_spec("ray") is None:
        pytest.skip("needs the extra [ray]")


def make(folder: Path) -> Path:
    """The run in a folder."""
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "cell.py").write_text(CELL_PY)
    assert dvc(folder, "init", "--quiet", "--no-scm") == 0
    return folder


def times(run: Path, stage: str) -> list[int]:
    """How often the stage's cells ran, in the order of MODELS."""
    counts = [run / f"count_{stage}_{model}" for model in MODELS]
    return [len(count.read_text()) if count.exists() else 0 for count in counts]


def is_up_to_date(run: Path) -> bool:
    """Whether ``dvc repro`` has nothing to do."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=run, capture_output=True, text=True, check=True
    )
    return "Data and pipelines are up to date." in done.stdout + done.stderr
