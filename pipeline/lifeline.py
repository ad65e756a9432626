"""A stage ends with the run that started it, also when that run is killed.

Left alone, it would go on writing where the next run writes.
"""

from __future__ import annotations

import os
import threading
import time

RUN = "ROBUSTNESS_RUN"
"""The environment variable with the number of the process that runs the stages."""

INTERVAL = 0.5
"""Seconds between two looks."""


def end_with_run() -> None:
    """End this process as if killed, at once or as soon as the run named in the environment is gone.

    A stage that was started by hand or by ``dvc repro`` belongs to no run and is left as it is.
    """
    number = os.environ.get(RUN, "")
    if number.isdecimal():
        _end_without(int(number))
        threading.Thread(target=_watch, args=(int(number),), daemon=True).start()


def _watch(process: int) -> None:
    while True:
        time.sleep(INTERVAL)
        _end_without(process)


def _end_without(process: int) -> None:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        os._exit(137)
