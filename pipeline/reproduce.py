"""Bring the default run, or a profile in its own folder, up to date: ``python -m pipeline.reproduce``.

A profile is a complete alternative params.yaml. Its run lies in ``runs/<name>/``, a DVC repository of its own
that shares the cache; it has the same stages over the same code and never touches the default run's results.
"""

from __future__ import annotations

import argparse
import os
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from pipeline import files, stage
from pipeline.cells import Engine, available_cores, processes, run_cells
from pipeline.check import RunSettings, check
from robustness.errors import UserError, nearest

ARCHITECTURES = "robustness/architectures"
FAMILY = f"{ARCHITECTURES}/${{item.family}}.py"
# What makes a folder a DVC repository, as `dvc init --no-scm` and `dvc config` would write it.
DVC_FILES = {
    ".dvc/config": """[core]
    no_scm = True
    analytics = false
    check_update = false
[cache]
    dir = {cache}
""",
    ".dvcignore": "__pycache__\ndata/work\nmlflow.db\nmlartifacts\n",
}


def prepare(profile: str, runs: Path = files.SOURCE / "runs") -> Path:
    """Make or refresh ``<runs>/<profile>/``: params.yaml, dvc.yaml over the checkout's code, DVC's folder."""
    source = files.SOURCE / "profiles" / f"{profile}.yaml"
    if not source.is_file():
        known = [path.stem for path in (files.SOURCE / "profiles").glob("*.yaml")]
        raise UserError(f"PROFILE={profile}: no {source.name} in profiles/; {nearest(profile, known)}")
    check(source)
    run = runs.resolve() / profile
    run.mkdir(parents=True, exist_ok=True)
    _write_if_changed(run / "params.yaml", source.read_text())
    pipeline = yaml.safe_load((files.SOURCE / "dvc.yaml").read_text())
    models = yaml.safe_load(source.read_text())["models"]
    if any("family" not in model for model in models.values()):
        pipeline = with_any_family(pipeline)
    for folder in ("robustness", "reports"):
        for byte_code in (files.SOURCE / folder).rglob("__pycache__"):
            shutil.rmtree(byte_code, ignore_errors=True)  # it would count as code (see pipeline/__init__.py)
    up = os.path.relpath(files.SOURCE, run)
    _write_if_changed(run / "dvc.yaml", yaml.safe_dump(code_from(pipeline, up), sort_keys=False, width=200))
    for name, text in DVC_FILES.items():
        (run / name).parent.mkdir(exist_ok=True)
        _write_if_changed(
            run / name, text.format(cache=os.path.relpath(files.SOURCE / ".dvc" / "cache", run / ".dvc"))
        )
    return run


def with_any_family(pipeline: dict[str, Any]) -> dict[str, Any]:
    """The same stages, where a model depends on all architectures: weights from elsewhere may bring any."""
    for entry in pipeline["stages"].values():
        entry = entry.get("do", entry)
        entry["deps"] = [ARCHITECTURES if dep == FAMILY else dep for dep in entry.get("deps", [])]
    return pipeline


def code_from(pipeline: dict[str, Any], up: str) -> dict[str, Any]:
    """The same stages, with every dependency that no stage makes (the code) taken from the folder ``up``."""
    stages = [entry.get("do", entry) for entry in pipeline["stages"].values()]
    outs = [_path(out) for entry in stages for key in ("outs", "metrics", "plots")
            for out in entry.get(key, [])]  # fmt: skip

    def place(dep: str) -> str:
        made = any(dep == out or dep.startswith(f"{out}/") or out.startswith(f"{dep}/") for out in outs)
        return dep if made else f"{up}/{dep}"

    for entry in stages:
        entry["deps"] = [place(dep) for dep in entry.get("deps", [])]
    return pipeline


def _path(out: str | dict[str, Any]) -> str:
    return out if isinstance(out, str) else next(iter(out))


def _write_if_changed(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text() != text:
        files.write_text(text, path)


def _jobs(settings: RunSettings) -> int:
    """As many cells at once as there are cores for their threads; one where a GPU does the work."""
    from robustness.devices import resolve

    if settings.threads is None or resolve(settings.device).type != "cpu":
        return 1
    return max(1, available_cores() // settings.threads)


def _cluster(settings: RunSettings, arguments: argparse.Namespace) -> AbstractContextManager[Engine]:
    from pipeline.ray_cells import cluster

    return cluster(
        threads=settings.threads,
        device=settings.device,
        jobs=arguments.jobs,
        gpus_per_cell=arguments.gpus_per_cell,
    )


def main() -> None:
    """Check the settings, then run what is not done yet; the status is that of the first cell that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--profile", help="a file of profiles/ without .yaml; its run lies in runs/<profile>/"
    )
    parser.add_argument("--runs", type=Path, default=files.SOURCE / "runs", help="where profiles' runs lie")
    parser.add_argument("--jobs", type=int, default=0, help="cells that run at once; 0: by cores and device")
    parser.add_argument(
        "--engine",
        choices=("processes", "ray"),
        default="processes",
        help="who runs the cells: processes of this machine, or Ray, here or on the cluster of RAY_ADDRESS",
    )
    parser.add_argument(
        "--gpus-per-cell",
        type=float,
        help="with --engine ray: GPUs that a cell asks for, as 0.25; by default 1",
    )
    arguments = parser.parse_args()

    def do() -> None:
        if arguments.jobs < 0:
            raise UserError(f"--jobs {arguments.jobs}: use 1 or more, or 0 for as many as the cores bear")
        if arguments.gpus_per_cell is not None and arguments.engine != "ray":
            raise UserError(f"--gpus-per-cell {arguments.gpus_per_cell:g}: goes with --engine ray; add it")
        if arguments.profile:
            run = prepare(arguments.profile, arguments.runs)
        else:
            run = files.SOURCE
            for needed in (".dvc", ".git"):
                if not (run / needed).exists():
                    raise UserError(
                        f"{needed}: missing; clone the repository with git instead of copying files"
                    )
        settings = check(run / files.PARAMS)
        ray = arguments.engine == "ray"
        with _cluster(settings, arguments) if ray else processes(arguments.jobs or _jobs(settings)) as engine:
            status = run_cells(run, engine)
        raise SystemExit(status)

    stage.guard(do)


if __name__ == "__main__":
    main()
