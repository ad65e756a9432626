"""``python -m benchmarks``: every ``*_speed`` module of this folder, one after the other (``make bench``)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Run each in a process of its own, so that none inherits another's threads or caches."""
    failed = []
    for path in sorted(Path(__file__).parent.glob("*_speed.py")):
        print(f"== {path.stem}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{path.stem}", *sys.argv[1:]]
        if subprocess.run(command, cwd=path.parents[1], check=False).returncode:
            failed.append(path.stem)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
