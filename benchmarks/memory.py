"""How much memory every stage takes, and whether evaluation streams a set that is ten times larger.

``python -m benchmarks.memory RUN``: RUN is the folder of a finished run, such as ``runs/smoke``. In a copy of
it every stage's command of dvc.yaml runs once more, in a process of its own. Two peaks, over the process
and the ones that it starts, are read from /proc: *resident*, the kernel's own peak of the largest process
(VmHWM), and *own*, the most that all of them held together without mapped files (RssAnon, looked at every 20
milliseconds). Then a model's evaluation runs on the same test images ten times over. Linux alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results"
INTERVAL = 0.02
TIMES = 10
MIB = 1 << 20


def commands(models: list[str]) -> Iterator[tuple[str, str]]:
    """(job, command) of every stage of dvc.yaml, in its order, a model's jobs for each model."""
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items():
        if "matrix" in stage:
            yield from ((f"{name}@{model}", stage["cmd"].replace("${item.model}", model)) for model in models)
        else:
            yield name, stage["cmd"]


def peaks(command: str, folder: Path) -> dict[str, int]:
    """Run a command in a folder; its peaks in MiB. Ends with an error if it fails."""
    resident = own = 0
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, *shlex.split(command)[1:]], cwd=folder, env=environment, stdout=said, stderr=said
        )
        while process.poll() is None:
            found = [status_of(number) for number in family(process.pid)]
            resident = max([resident, *(status.get("VmHWM", 0) for status in found)])
            own = max(own, sum(status.get("RssAnon", 0) for status in found))
            time.sleep(INTERVAL)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{command}: status {process.returncode}\n{said.read()[-2000:]}")
    return {"resident": round(resident / MIB), "own": round(own / MIB)}


def family(number: int) -> list[int]:
    """A process and all that it started, those that are still there."""
    try:
        return [number, *(child.pid for child in psutil.Process(number).children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def status_of(number: int) -> dict[str, int]:
    """The sizes in /proc/<number>/status, in bytes; nothing for a process that is gone."""
    try:
        lines = Path(f"/proc/{number}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    pairs = (line.split(":", 1) for line in lines if line.endswith(" kB"))
    return {name: int(size.split()[0]) * 1024 for name, size in pairs}


def repeat_test_images(run: Path, times: int) -> int:
    """Make the image set of a run hold its test images ``times`` over; how many it then holds."""
    import numpy as np
    import pandas as pd

    from robustness.data.image_set import ImageSet

    images = ImageSet.open(run / "data" / "images")
    rows = images.rows(split="test")
    larger = run / "larger"
    count = times * len(rows)
    with ImageSet.create(
        larger, count, images.image_size, images.classes, masks=images.masks is not None
    ) as writer:
        for start in range(0, count, len(rows)):
            writer.images[start : start + len(rows)] = images.images[rows]
            if images.masks is not None:
                writer.masks[start : start + len(rows)] = images.masks[rows]
        table = images.samples.iloc[np.tile(rows, times)].drop(columns="sample")
        writer.finish(pd.concat([table], ignore_index=True))
    shutil.rmtree(run / "data" / "images")
    larger.rename(run / "data" / "images")
    return count


def main() -> None:
    """Measure, print, and write ``results/memory.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the folder of a finished run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary) / "run"
        shutil.copytree(options.run, run, ignore=shutil.ignore_patterns(".dvc"))
        models = list(yaml.safe_load((run / "params.yaml").read_text())["models"])
        found = {}
        for job, command in commands(models):
            found[job] = peaks(command, run)
            print(f"{job:32}{found[job]['resident']:8} MiB{found[job]['own']:8} MiB of its own", flush=True)
        stream = {}
        for times in (1, TIMES):
            # A process of its own: what this one holds must not weigh on what it starts.
            made = "from pathlib import Path; from benchmarks.memory import repeat_test_images as r"
            script = f"{made}; print(r(Path({str(run)!r}), {times}))"
            count = subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, text=True)
            stream[count.strip()] = peaks(f"python -m pipeline.evaluate --model {models[-1]}", run)
            print(f"evaluate@{models[-1]}, {count.strip()} images: {stream[count.strip()]}", flush=True)
        record = {
            "unit": "MiB",
            "machine": platform.machine(),
            "run": options.run.resolve().name,
            "peaks": found,
            f"evaluate@{models[-1]} by number of test images": stream,
        }
    (RESULTS / "memory.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
