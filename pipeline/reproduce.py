"""Bring the default run, or a profile in its own folder, up to date: ``python -m pipeline.reproduce``.

A profile is a complete alternative params.yaml. Its run lies in ``runs/<name>/``, a DVC repository of its own
that shares the cache; it has the same stages over the same code and never touches the default run's results.
"""

from __future__ import annotations

import argparse
import os
import shutil
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from dvc.exceptions import DvcException

from pipeline import files, stage
from pipeline.jobs import Engine, first_line, run_jobs
from pipeline.settings import KEYS, OPTIONAL
from pipeline.worker import processes
from robustness.errors import UserError, at, nearest
from robustness.processor import available_cores
from robustness.whole_files import write_text
from robustness.yaml_file import read_yaml

# Key of a model → the folder of which its jobs use one file alone.
FOLDERS = {"family": "robustness/architectures", "frontend": "robustness/frontends"}
# Weights built by the user's own code, and where a run keeps the SHA-256 of that code for DVC to compare.
PYTHON, CODE = "python:", "code.yaml"
PLOTS = ".dvc/plots/levels.json"  # the template of ``dvc plots``
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
    models = check_keys(source)["models"]
    pipeline = (files.SOURCE / "dvc.yaml").read_text()
    for key, folder in FOLDERS.items():
        if any(key not in model for model in models.values()):  # pretrained weights name neither
            pipeline = pipeline.replace(f"{folder}/${{item.{key}}}.py", folder)
    for byte_code in (files.SOURCE / "robustness").rglob("__pycache__"):
        shutil.rmtree(byte_code, ignore_errors=True)  # it would count as code (see pipeline/__init__.py)
    run = runs.resolve() / profile
    stages = code_from(yaml.safe_load(pipeline), os.path.relpath(files.SOURCE, run))
    code = user_code(models)
    if code:
        stages["stages"]["train"]["do"]["params"].append({CODE: ["${key}"]})
    cache = os.path.relpath(files.SOURCE / ".dvc" / "cache", run / ".dvc")
    texts = {name: text.format(cache=cache) for name, text in DVC_FILES.items()} | {
        PLOTS: (files.SOURCE / PLOTS).read_text(),
        "params.yaml": source.read_text(),
        "dvc.yaml": yaml.safe_dump(stages, sort_keys=False, width=200),
    }
    if code:
        texts[CODE] = yaml.safe_dump({name: code.get(name, "") for name in models})
    for name, text in texts.items():
        if not (run / name).is_file() or (run / name).read_text() != text:
            write_text(text, run / name)
    return run


def user_code(models: dict[str, Any]) -> dict[str, str]:
    """Id → SHA-256 of the user's own code that builds the model, of those that have such code."""
    named = {name: str(model["weights"]) for name, model in models.items()
             if str(model.get("weights", "")).startswith(PYTHON)}  # fmt: skip
    if not named:
        return {}
    from robustness.weights.user_network import code_digest  # it imports torch

    found = {}
    for name, weights in named.items():
        with at(f"models.{name}.weights"):
            found[name] = code_digest(weights.removeprefix(PYTHON))
    return found


def check_keys(path: Path) -> dict[str, Any]:
    """Read params.yaml; raises UserError for a key too many or too few, or a section of the wrong shape.

    All that can be said in no time: the rest (``check``) needs torch, and is checked before a job runs.
    """
    values = read_yaml(path)
    models = values.get("models")
    shaped = isinstance(models, dict) and all(isinstance(model, dict) for model in models.values())
    if not shaped or not values.keys() <= set(KEYS) <= {*values, *OPTIONAL}:
        _check(path)  # says what is wrong
    return values


def code_from(pipeline: dict[str, Any], up: str) -> dict[str, Any]:
    """The same stages, with every dependency that no stage makes (the code) taken from the folder ``up``."""
    stages = [entry.get("do", entry) for entry in pipeline["stages"].values()]
    made = [out if isinstance(out, str) else next(iter(out)) for entry in stages
            for key in ("outs", "metrics", "plots") for out in entry.get(key, [])]  # fmt: skip

    def is_code(dep: str) -> bool:
        return not any(f"{dep}/".startswith(f"{out}/") or out.startswith(f"{dep}/") for out in made)

    for entry in stages:
        entry["deps"] = [f"{up}/{dep}" if is_code(dep) else dep for dep in entry.get("deps", [])]
    return pipeline


def _check(path: Path) -> Any:
    from pipeline.check import check  # it imports torch

    return check(path)


def engine(run: Path, arguments: argparse.Namespace) -> AbstractContextManager[Engine]:
    """Check the run's settings, and start what runs its jobs."""
    settings = _check(run / files.PARAMS)
    settings.evaluation.require()  # not after hours of training
    threads, at_once = settings.threads, arguments.jobs
    asked = {"threads": threads, "device": settings.device, "at_once": at_once}
    if arguments.engine == "ray":
        from pipeline.ray_jobs import cluster

        return cluster(**asked, gpus_per_job=arguments.gpus_per_job)
    if arguments.engine == "slurm":
        from pipeline.slurm_jobs import queue

        return queue(run, **asked, gpus_per_job=arguments.gpus_per_job)
    from robustness.devices import resolve

    # As many as there are cores for their threads; one where a GPU does the work.
    on_cores = threads and resolve(settings.device).type == "cpu"
    return processes(at_once or (max(1, available_cores() // threads) if on_cores else 1))


def main() -> None:
    """Run what is not done yet; the status is that of the first job that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--profile", help="a file of profiles/ without .yaml; its run lies in runs/<profile>/")
    add("--runs", type=Path, default=files.SOURCE / "runs", help="where profiles' runs lie")
    add("--jobs", type=int, default=0, help="jobs that run at once; 0: by cores and device")
    add("--engine", choices=("processes", "ray", "slurm"), default="processes", help="who runs the jobs")
    add("--gpus-per-job", type=float, help="with ray (as 0.25) or slurm: GPUs that a job asks for")
    stage.guard(partial(_reproduce, parser.parse_args()))


def _reproduce(arguments: argparse.Namespace) -> None:
    if arguments.jobs < 0:
        raise UserError(f"--jobs {arguments.jobs}: use 1 or more, or 0 for as many as the cores bear")
    if arguments.gpus_per_job is not None and arguments.engine == "processes":
        raise UserError(f"--gpus-per-job {arguments.gpus_per_job:g}: goes with --engine ray or slurm")
    if arguments.profile:
        run = prepare(arguments.profile, arguments.runs)
    else:
        run = files.SOURCE
        for needed in (".dvc", ".git"):
            if not (run / needed).exists():
                raise UserError(f"{needed}: missing; clone the repository with git instead of copying files")
        if user_code(check_keys(run / files.PARAMS)["models"]):
            raise UserError("params.yaml: weights python:… are for a profile, whose run follows their code; "
                            "copy params.yaml to profiles/<name>.yaml and put the line there")  # fmt: skip
    try:
        status = run_jobs(run, partial(engine, run, arguments))
    except DvcException as error:  # it cannot read the stages, most often for a setting
        _check(run / files.PARAMS)
        raise UserError(f"{run}: {first_line(error)}") from error
    raise SystemExit(status)


if __name__ == "__main__":
    main()
