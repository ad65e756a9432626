"""A run of made-up jobs under DVC. Every job leaves a line in its own count: how often did it run?"""

from __future__ import annotations

from contextlib import chdir
from importlib.util import find_spec
from pathlib import Path

import pytest
from dvc.repo import Repo

from pipeline.reproduce import DVC_FILES

MODELS = "abc"
STAGES = ("train", "evaluate", "attack", "probe")
DVC_YAML = (
    "stages:\n  render:\n    cmd: python -m job render all\n    outs: [images]\n    deps: [job.py]\n"
    + "".join(
        f"""  {stage}:
    matrix: {{model: [{", ".join(MODELS)}]}}
    cmd: python -m job {stage} ${{item.model}}
    deps: [{dep}]
    outs: ["{stage}_${{item.model}}"]
"""
        for stage, dep in (
            ("train", 'images, "recipe_${item.model}"'),
            ("evaluate", '"train_${item.model}"'),
            ("attack", '"train_${item.model}"'),
            ("probe", '"train_${item.model}"'),
        )
    )
)
# break_<job>: it fails. kill_<job>: as often as the file has letters, it kills its worker. nothing_<job>:
# it writes nothing. slow_<job>: it takes so many seconds. Its output is written in two halves.
JOB_PY = """
import os, pathlib, signal, sys, time
stage, model = sys.argv[1:]
with open("order", "a") as order:
    order.write(f"{stage}_{model}\\n")
def told(what):
    path = pathlib.Path(f"{what}_{stage}_{model}")
    return path.read_text() if path.exists() else None
with open(f"count_{stage}_{model}", "a") as count:
    count.write("x")
if told("break") is not None:
    print("this job is broken")
    sys.exit(2)
if told("kill"):
    pathlib.Path(f"kill_{stage}_{model}").write_text(told("kill")[1:])
    print("this job kills", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
if told("nothing") is None:
    with open("images" if stage == "render" else f"{stage}_{model}", "w") as out:
        out.write(stage)
        out.flush()
        time.sleep(float(told("slow") or 0.05))
        out.write(model)
"""
OUTPUTS = {"images": "renderall"} | {
    f"{stage}_{model}": stage + model for stage in STAGES for model in MODELS
}


def needs_ray() -> None:
    """Skip a test where Ray is not installed, without importing it: what it listens on is set before."""
    if find_spec("ray") is None:
        pytest.skip("needs the extra [ray]")


def needs_submitit() -> None:
    """Skip a test where submitit is not installed."""
    if find_spec("submitit") is None:
        pytest.skip("needs the extra [slurm]")


def make(folder: Path) -> Path:
    """The run in a folder."""
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "job.py").write_text(JOB_PY)
    for model in MODELS:
        (folder / f"recipe_{model}").write_text(model)
    for name, text in DVC_FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text.format(cache="cache"))
    return folder


def times(run: Path, stage: str, models: str = MODELS) -> list[int]:
    """How often the stage's jobs ran, in the order of the models."""
    counts = [run / f"count_{stage}_{model}" for model in models]
    return [count.stat().st_size if count.exists() else 0 for count in counts]


def counts(run: Path) -> dict[str, int]:
    """How often each job ran, by the name of its output."""
    found = {path.name.removeprefix("count_"): path.stat().st_size for path in run.glob("count_*")}
    return {("images" if name == "render_all" else name): count for name, count in found.items()}


def contents(run: Path) -> dict[str, str]:
    """The outputs that are there."""
    return {name: (run / name).read_text() for name in OUTPUTS if (run / name).exists()}


def is_up_to_date(run: Path) -> bool:
    """Whether ``dvc repro`` has nothing to do."""
    with chdir(run), Repo() as repo:
        return not repo.status()
