"""Freed memory that stays: asked for again, the system does not clear its pages once more."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from robustness.processor import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit(3)
def use():
    for _ in range(10):
        torch.ones(16_000_000)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("this system's C library has no such setting")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_memory_asked_for_again_causes_few_page_faults() -> None:
    assert page_faults("kept") < page_faults("freed") / 5
