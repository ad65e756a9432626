"""What the benchmarks share: ratios of two contestants in turns, and the record of a run."""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Ratio:
    """Median and quartiles of a ratio over ``repeats`` measurements."""

    times: float
    low: float
    high: float
    repeats: int

    @classmethod
    def of(cls, measured: Sequence[float]) -> Ratio:
        """Of the ratios that were measured, one at least."""
        low, high = np.quantile(measured, [0.25, 0.75])
        return cls(*(float(f"{value:.4g}") for value in (median(measured), low, high)), len(measured))


@dataclass(frozen=True)
class Row:
    """One measurement: ``what``, in which ``case``, ``against`` what, and the ratio that was ``asked`` for
    (such as "≥ 4"; empty: none). README's table has one row for all cases of the same thing."""

    what: str
    case: str
    against: str
    ratio: Ratio
    asked: str = ""


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time of one call, until the device is done with it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def ratio(
    slow: Callable[[], object],
    fast: Callable[[], object],
    device: torch.device,
    repeats: int,
    warm_up: int = 1,
) -> Ratio:
    """Time of slow / time of fast, in turns, after ``warm_up`` rounds that do not count."""
    found = [seconds(slow, device) / seconds(fast, device) for _ in range(repeats + warm_up)]
    return Ratio.of(found[warm_up:])


def write_record(
    name: str, device: torch.device, rows: Sequence[Row], details: dict | None = None, **facts: object
) -> None:
    """Write ``results/<name>.json``, or ``<name>_cuda.json``: machine, versions, commit, ``facts``, the rows
    for the table of speeds, and ``details``."""
    record = {
        "processor": processor(device),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": _commit(),
        **facts,
        "rows": [asdict(row) for row in rows],
        "details": details or {},
    }
    target = RESULTS / (f"{name}.json" if device.type == "cpu" else f"{name}_cuda.json")
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")


def processor(device: torch.device) -> str:
    """The name of the GPU, or of the CPU with its number of cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {max(1, len(names))} cores"


def _commit() -> str:
    """The commit that was measured, with + where files other than results differ from it."""

    def git(*words: str) -> str:
        found = subprocess.run(
            ["git", *words], cwd=RESULTS.parent, capture_output=True, text=True, check=False
        )
        return found.stdout.strip()

    changed = git("diff", "--name-only", "HEAD", "--", ":(top)", f":(exclude){RESULTS.name}")
    return git("rev-parse", "--short=7", "HEAD") + "+" * bool(changed)
