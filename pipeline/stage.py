"""What every stage shares: its arguments, its settings, and the one line for a user's mistake."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from pipeline.settings import StageSettings, load
from robustness.errors import UserError, disk_refusals
from robustness.processor import keep_freed_memory, use_threads


def run(work: Callable[[StageSettings], None], reads: Sequence[str]) -> None:
    """Run a stage that works on all models at once; ends the process with status 2 on a user's mistake.

    ``reads``: the keys of params.yaml that it reads, see ``pipeline.settings``.
    """
    argparse.ArgumentParser(description=work.__doc__).parse_args()
    guard(lambda: work(_started(load(reads))))


def run_model(work: Callable[[StageSettings, str], None], reads: Sequence[str]) -> None:
    """Run a stage for the model named by ``--model``; ends with status 2 on a user's mistake."""
    parser = argparse.ArgumentParser(description=work.__doc__)
    parser.add_argument("--model", required=True, metavar="ID", help="a key of models: in params.yaml")
    model = parser.parse_args().model
    guard(lambda: work(_started(load(reads, model)), model))


def _started(settings: StageSettings) -> StageSettings:
    """The number of threads set: results then do not depend on how stages are run."""
    keep_freed_memory()
    if settings.threads is not None:
        use_threads(settings.threads)
    return settings


def guard(do: Callable[[], None]) -> None:
    """Do it; a user's mistake, or what the disk refuses, becomes one line on stderr and exit status 2.

    An interruption gives status 130. Anything else is a mistake in the code and keeps its traceback.
    """
    try:
        with disk_refusals():
            do()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted; finished work is kept, run again to go on", file=sys.stderr)
        raise SystemExit(130) from None
