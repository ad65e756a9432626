"""What every stage shares: its arguments, its settings, and the one line for a user's mistake."""

from __future__ import annotations

import argparse
import ctypes
import errno
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.settings import StageSettings, load
from robustness.errors import UserError

# What the disk refuses: the user's to mend, not a mistake in the code.
REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
           errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}  # fmt: skip


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
        import torch
        from threadpoolctl import threadpool_limits

        threadpool_limits(settings.threads)
        torch.set_num_threads(settings.threads)
    return settings


def keep_freed_memory() -> bool:
    """Keep freed memory in the process: where glibc returns it, its pages are cleared anew at every step, and
    ten noise draws take 2.5 instead of 1.6 times as long as one. False if the C library is another."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(-4, 0)) and bool(mallopt(-1, 2**31 - 1))  # M_MMAP_MAX, M_TRIM_THRESHOLD


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
