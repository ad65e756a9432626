"""``dvc repro`` of the default run, or of a profile in its own folder: ``python -m pipeline.reproduce``.

A profile is a complete alternative params.yaml. Its run lies in ``runs/<name>/``, a DVC repository of its own
that shares the cache; it has the same stages over the same code and never touches the default run's results.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from pipeline import files, one_at_a_time, stage
from pipeline.cells import Engine, available_cores, dvc, processes, run_cells
from pipeline.params import Params, load
from robustness.errors import UserError, nearest

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
    params = load(source)
    run = runs.resolve() / profile
    run.mkdir(parents=True, exist_ok=True)
    _write_if_changed(run / "params.yaml", source.read_text())
    pipeline = yaml.safe_load((files.SOURCE / "dvc.yaml").read_text())
    if any(model.weights != "train" for model in params.models.values()):
        pipeline = with_weights(pipeline)
    up = os.path.relpath(files.SOURCE, run)
    _write_if_changed(run / "dvc.yaml", yaml.safe_dump(code_from(pipeline, up), sort_keys=False, width=200))
    for name, text in DVC_FILES.items():
        (run / name).parent.mkdir(exist_ok=True)
        _write_if_changed(
            run / name, text.format(cache=os.path.relpath(files.SOURCE / ".dvc" / "cache", run / ".dvc"))
        )
    return run


def with_weights(pipeline: dict[str, Any]) -> dict[str, Any]:
    """The same stages, in which a model's cell takes over weights trained elsewhere where it names some."""
    train = pipeline["stages"]["train"]
    train["cmd"] = train["cmd"].replace("pipeline.train", "pipeline.adopt")
    train["deps"] += ["pipeline/adopt.py", "robustness/weights"]
    return pipeline


def code_from(pipeline: dict[str, Any], up: str) -> dict[str, Any]:
    """The same stages, with every dependency that no stage makes (the code) taken from the folder ``up``."""
    stages = pipeline["stages"]
    outs = [_path(out) for entry in stages.values() for key in ("outs", "metrics", "plots")
            for out in entry.get(key, [])]  # fmt: skip

    def place(dep: str) -> str:
        made = any(dep == out or dep.startswith(f"{out}/") or out.startswith(f"{dep}/") for out in outs)
        return dep if made else f"{up}/{dep}"

    for entry in stages.values():
        entry["deps"] = [place(dep) for dep in entry.get("deps", [])]
    return pipeline


def _path(out: str | dict[str, Any]) -> str:
    return out if isinstance(out, str) else next(iter(out))


def _write_if_changed(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text() != text:
        files.write_text(text, path)


def bring_up_to_date(
    run: Path,
    jobs: int,
    arguments: Sequence[str] = (),
    engine: AbstractContextManager[Engine] | None = None,
) -> int:
    """Do in the folder ``run`` what is not done yet; an exit status.

    ``engine`` runs the models' cells, by default ``jobs`` processes at once, and ``dvc repro`` the rest;
    with ``arguments``, which are handed to it, ``dvc repro`` runs all. Raises UserError if another run is at
    work in the folder.
    """
    with one_at_a_time.alone(run):
        status = 0
        if not arguments:
            with engine or processes(jobs) as at_hand:
                status = run_cells(run, at_hand)
        return status or dvc(run, "repro", *arguments)


def _jobs(params: Params) -> int:
    """As many models at once as there are cores for their threads; one where a GPU does the work."""
    from robustness.devices import resolve

    if params.threads is None or resolve(params.device).type != "cpu":
        return 1
    return max(1, available_cores() // params.threads)


def _cluster(params: Params, arguments: argparse.Namespace) -> AbstractContextManager[Engine]:
    from pipeline.ray_cells import cluster

    return cluster(
        threads=params.threads,
        device=params.device,
        jobs=arguments.jobs,
        gpus_per_cell=arguments.gpus_per_cell,
    )


def main() -> None:
    """Check the settings, then hand over to ``dvc repro``; its exit status is ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--profile", help="a file of profiles/ without .yaml; its run lies in runs/<profile>/"
    )
    parser.add_argument("--runs", type=Path, default=files.SOURCE / "runs", help="where profiles' runs lie")
    parser.add_argument(
        "--jobs", type=int, default=0, help="models that are worked on at once; 0: by cores and device"
    )
    parser.add_argument(
        "--engine",
        choices=("processes", "ray"),
        default="processes",
        help="who runs the models' cells: this process, or Ray, here or on the cluster of RAY_ADDRESS",
    )
    parser.add_argument(
        "--gpus-per-cell",
        type=float,
        help="with --engine ray: GPUs that a cell asks for, as 0.25; by default 1",
    )
    parser.add_argument("arguments", nargs="*", help="handed to dvc repro, after --; one stage at a time")
    arguments = parser.parse_args()

    def do() -> None:
        if arguments.jobs < 0:
            raise UserError(f"--jobs {arguments.jobs}: use 1 or more, or 0 for as many as the cores bear")
        if arguments.gpus_per_cell is not None and arguments.engine != "ray":
            raise UserError(f"--gpus-per-cell {arguments.gpus_per_cell:g}: goes with --engine ray; add it")
        if arguments.engine == "ray" and arguments.arguments:
            raise UserError("--engine ray: runs all cells; leave the arguments of dvc repro out")
        if arguments.profile:
            run = prepare(arguments.profile, arguments.runs)
        else:
            run = files.SOURCE
            for needed in (".dvc", ".git"):
                if not (run / needed).exists():
                    raise UserError(
                        f"{needed}: missing; clone the repository with git instead of copying files"
                    )
        params = load(run / files.PARAMS)
        engine = _cluster(params, arguments) if arguments.engine == "ray" else None
        jobs = arguments.jobs or _jobs(params)
        raise SystemExit(bring_up_to_date(run, jobs, arguments.arguments, engine))

    stage.guard(do)


if __name__ == "__main__":
    main()
