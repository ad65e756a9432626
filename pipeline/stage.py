"""What every stage shares: its arguments, its settings, and the one line for a user's mistake."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from pipeline import lifeline
from pipeline.settings import StageSettings, load
from robustness.errors import UserError
from robustness.heap import keep_freed_memory

# What the disk refuses: the user's to mend, not a mistake in the code.
REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
           errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}  # fmt: skip


def run(work: Callable[[StageSettings], None], reads: Sequence[str]) -> None:
    """Run a stage that works on all models at once; ends the process with status 2 on a user's mistake.

    ``reads``: the keys of params.yaml that it reads, see ``pipeline.settings``.
    """
    _parser(work).parse_args()
    guard(lambda: work(_started(load(reads))))


def run_model(work: Callable[[StageSettings, str], None], reads: Sequence[str]) -> None:
    """Run a stage for the model named by ``--model``; ends with status 2 on a user's mistake."""
    parser = _parser(work)
    parser.add_argument("--model", required=True, metavar="ID", help="a key of models: in params.yaml")
    model = parser.parse_args().model
    guard(lambda: work(_started(load(reads, model)), model))


def _parser(work: Callable[..., None]) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(description=work.__doc__)


def _started(settings: StageSettings) -> StageSettings:
    """The number of threads set: results then do not depend on how stages are run."""
    lifeline.end_with_run()
    keep_freed_memory()
    if settings.threads is not None:
        import torch
        from threadpoolctl import threadpool_limits

        threadpool_limits(settings.threads)
        torch.set_num_threads(settings.threads)
    return settings


def guard(do: Callable[[], None]) -> None:
    """Do it; a user's mistake, or what the disk refuses, becomes one line on stderr and exit status 2.

    An interruption gives status 130. Anything else is a mistake in the code and keeps its traceback.
    """
    try:
        do()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        place = error.filename or Path.cwd()
        print(f"error: {place}: {error.strerror or error}; free space or rights, then run again",
              file=sys.stderr)  # fmt: skip
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted; finished work is kept, run again to go on", file=sys.stderr)
        raise SystemExit(130) from None


@contextmanager
def progress(what: str, total: int, unit: str = "image") -> Iterator[Callable[[int], object]]:
    """A progress bar with a rate, which says what is being done: called with how many more are done."""
    with tqdm(total=total, desc=what, unit=unit, mininterval=1.0, dynamic_ncols=True) as bar:
        yield bar.update


def epoch_progress(name: str) -> Callable[[int, int, float, float], None]:
    """A bar over epochs that shows loss and validation accuracy; it starts with the first epoch."""
    bar: list[tqdm] = []

    def show(epoch: int, epochs: int, loss: float, accuracy: float) -> None:
        if not bar:
            bar.append(tqdm(total=epochs, initial=epoch - 1, desc=f"train {name}", unit="epoch"))
        bar[0].set_postfix(loss=f"{loss:.3f}", validation=f"{accuracy:.3f}")
        bar[0].update(1)
        if epoch == epochs:
            bar[0].close()

    return show


@contextmanager
def unit_progress(what: str, unit: str = "unit") -> Iterator[Callable[[str, int, int], None]]:
    """A bar whose total is told on the way: called with (what is being done, done, total)."""
    with tqdm(desc=what, unit=unit, mininterval=1.0, dynamic_ncols=True) as bar:

        def show(now: str, done: int, total: int) -> None:
            bar.set_postfix_str(now, refresh=False)
            bar.total = max(total, done)
            bar.update(done - bar.n)

        yield show
