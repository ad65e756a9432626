"""What a cell spends before it works: started anew, and forked from a process that has everything imported.

``python -m benchmarks.startup_speed [--repeats 5]``: a minute. The cell imports what its stage imports, reads
params.yaml and opens nothing. Seconds are of this machine; the ratio counts. With ``--run FOLDER``, a
finished run's folder, also ``dvc repro`` with nothing to do.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from benchmarks.timing import write_record
from pipeline import files, warm_start

# A stage that reads its settings and then does nothing.
CELL = """
from pipeline import cell_imports, stage
stage.run(lambda params: None)
"""


def main() -> None:
    """Measure, print, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--run", type=Path, help="the folder of a finished run")
    parser.add_argument("--device", default="cpu", help="without effect here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copy(files.SOURCE / "params.yaml", folder)
        (folder / "idle_cell.py").write_text(CELL)
        sys.path.insert(0, str(folder))
        environment = os.environ | {"PYTHONPATH": f"{files.SOURCE}{os.pathsep}{folder}"}
        command = ["python", "-m", "idle_cell"]
        anew, forked = [], []
        for _ in range(options.repeats + 1):
            start = time.perf_counter()
            subprocess.run([sys.executable, *command[1:]], cwd=folder, env=environment, check=True)
            anew.append(time.perf_counter() - start)
            start = time.perf_counter()
            status = warm_start.run(command, folder, folder / "log", environment)
            if status:
                sys.exit((folder / "log").read_text())
            forked.append(time.perf_counter() - start)
    found = {
        "anew, s": round(median(anew[1:]), 2),
        "forked, s": round(median(forked[1:]), 2),
        "first fork (imports), s": round(forked[0], 2),
        "anew / forked": round(median(a / f for a, f in zip(anew[1:], forked[1:], strict=True)), 1),
    }
    if options.run:
        idle = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=options.run, check=True)
            idle.append(time.perf_counter() - start)
        found["dvc repro with nothing to do, s"] = round(median(idle), 1)
    print(found)
    write_record("startup_speed", torch.device("cpu"), found, repeats=options.repeats)


if __name__ == "__main__":
    main()
