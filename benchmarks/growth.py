"""How time and memory grow with images, ε, image size and models, three sizes each; read by scale.md.

``python -m benchmarks.growth``: some five minutes on one core. Every case runs in a process of its own, one
thread: seconds of the work alone, and how much the peak of its memory (resident, MiB) lies above what it held
before. The exponent is the slope of log seconds over log size: 1 is linear.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml

from benchmarks.timing import write_record
from pipeline import files
from robustness import attacks, evaluation, models
from robustness.data.image_set import ImageSet, ImageSetWriter

SIZES = {
    "evaluation, images": (2000, 4000, 8000),
    "attack, images": (16, 32, 64),
    "attack, ε": (2, 4, 8),
    "attack, image size": (64, 128, 224),
    "training step, image size": (64, 128, 224),
    "dvc status, models": (10, 20, 40),
}
CLASSES = 10
KIB = 1 << 10


def network(size: int) -> models.Classifier:
    spec = models.ModelSpec("resnet18", "learned", "canonical", CLASSES, size, seed=0, width=0.25)
    return models.build(spec).eval()


def image_set(folder: Path, count: int) -> ImageSet:
    """Random clean test images."""
    names = [f"c{number}" for number in range(CLASSES)]
    with ImageSetWriter(folder, count, 64, names, masks=False) as writer:
        generator = np.random.default_rng(0)
        for start in range(0, count, 500):
            part = writer.images[start : start + 500]
            part[:] = generator.integers(0, 255, part.shape, dtype=np.uint8)
        numbers = np.arange(count)
        samples = pd.DataFrame(
            {
                "object": numbers.astype(str),
                "class": [names[number % CLASSES] for number in numbers],
                "label": numbers % CLASSES,
                "split": "test",
                "role": "test",
                "shift": "clean",
                "factor": "clean",
                "level": "0",
                "view": 0,
                "seed": 0,
            }
        )
        return writer.finish(samples)


def evaluate(size: int, folder: Path) -> Callable[[], object]:
    images, model = image_set(folder / "set", size), network(64)
    rows = np.arange(size)
    return lambda: evaluation.evaluate(
        model, images, rows, [], batch_size=64, seed=0, device=torch.device("cpu")
    )


def attack(count: int = 16, budgets: int = 2, size: int = 64) -> Callable[[], object]:
    """Labels are what the net answers: nothing is wrong before, and every image is attacked."""
    generator = torch.Generator().manual_seed(0)
    model = network(size)
    images = torch.rand(count, 3, size, size, generator=generator)
    with torch.no_grad():
        labels = model(images).argmax(1)
    # So small that hardly an image is broken: the work is the same at every size. Each ε alone, since what
    # withstood the larger one would not be attacked at the smaller.
    epsilons = [1e-4 * (number + 1) / budgets for number in range(budgets)]
    suite, setup = {"pgd": {"steps": 10}}, attacks.Setup(batch_size=64)
    return lambda: [attacks.attack(model, images, labels, suite, [epsilon], setup) for epsilon in epsilons]


def training_step(size: int) -> Callable[[], object]:
    generator = torch.Generator().manual_seed(0)
    model = network(size).train()
    images = torch.rand(32, 3, size, size, generator=generator)
    labels = torch.randint(0, CLASSES, (32,), generator=generator)

    def steps() -> None:
        for _ in range(5):
            torch.nn.functional.cross_entropy(model(images), labels).backward()

    return steps


def status(count: int, folder: Path) -> Callable[[], object]:
    """DVC's own work on the pipeline with so many models, none of which has run."""
    shutil.copytree(files.SOURCE, folder / "run", ignore=_not_code)
    run = folder / "run"
    params = yaml.safe_load((run / "params.yaml").read_text())
    params["models"] = {f"m{number}": params["models"]["resnet18"] for number in range(count)}
    (run / "params.yaml").write_text(yaml.safe_dump(params))
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "--quiet"], cwd=run, check=True)

    def status() -> None:
        done = subprocess.run([*dvc, "status", "--json"], cwd=run, capture_output=True, text=True, check=True)
        jobs = [name for name in json.loads(done.stdout) if "@" in name]
        assert len(jobs) == 4 * count, len(jobs)

    return status


def _not_code(folder: str, names: list[str]) -> set[str]:
    here = Path(folder)
    if here == files.SOURCE:
        kept = {"pipeline", "robustness", "data", "params.yaml", "dvc.yaml"}
        return set(names) - kept
    return {"images", "library", "models", "results", "work"} & set(names) if here.name == "data" else set()


CASES: dict[str, Callable[[int, Path], Callable[[], object]]] = {
    "evaluation, images": evaluate,
    "attack, images": lambda size, folder: attack(count=size),
    "attack, ε": lambda size, folder: attack(budgets=size),
    "attack, image size": lambda size, folder: attack(size=size),
    "training step, image size": lambda size, folder: training_step(size),
    "dvc status, models": status,
}


def measure(case: str, size: int) -> dict[str, float]:
    """Seconds (the better of two) and MiB of one case, in this process."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        work = CASES[case](size, Path(temporary))
        before = _peak()
        times = []
        for _ in range(2):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    grown = {} if case.startswith("dvc") else {"MiB": round(_peak() - before)}  # that works in children
    return {"seconds": round(min(times), 3), **grown}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB


def main() -> None:
    """Measure all cases, print and write the record; with CASE and SIZE that one alone, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", nargs="?")
    parser.add_argument("size", nargs="?", type=int)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.size)))
        return
    found = {}
    for case, sizes in SIZES.items():
        points = {}
        for size in sizes:
            command = [sys.executable, "-m", "benchmarks.growth", case, str(size)]
            told = subprocess.run(command, cwd=files.SOURCE, capture_output=True, text=True, check=False)
            if told.returncode:
                sys.exit(f"{case}, {size}: {told.stderr[-2000:]}")
            points[size] = json.loads(told.stdout.splitlines()[-1])
        first, last = points[sizes[0]], points[sizes[-1]]
        exponent = math.log(last["seconds"] / first["seconds"]) / math.log(sizes[-1] / sizes[0])
        found[case] = {"points": points, "exponent": round(exponent, 2)}
        print(case, found[case], flush=True)
    write_record("growth", torch.device("cpu"), [], found, threads=1)


if __name__ == "__main__":
    main()
