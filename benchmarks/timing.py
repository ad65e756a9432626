"""What the benchmarks share: ratios of two contestants in turns, and the record of a run."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

RESULTS = Path(__file__).parent / "results"


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
) -> float:
    """Median of (time of slow / time of fast), in turns, after ``warm_up`` rounds that do not count."""
    found = [seconds(slow, device) / seconds(fast, device) for _ in range(repeats + warm_up)]
    return median(found[warm_up:])


def write_record(name: str, device: torch.device, results: dict, **facts: object) -> None:
    """Write ``results/<name>.json``, or ``<name>_cuda.json``, with the machine, torch and ``facts``."""
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    record = {"device": where, "torch": torch.__version__, **facts, "results": results}
    target = RESULTS / (f"{name}.json" if device.type == "cpu" else f"{name}_cuda.json")
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
