"""The one exception that stands for a user's mistake, and the help that its message gives."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
           errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}  # fmt: skip
"""What the disk refuses: the user's to mend, not a mistake in the code."""


class UserError(Exception):
    """A mistake that the user can mend: a setting, a file, an argument.

    The message is one line that names the key or file, says what is wrong with which value, and what is
    allowed or what to do. The pipeline prints it without a traceback and ends with exit status 2.
    ``place`` (``models.alexnet.width``) stands before the reason, where it is known.
    """

    def __init__(self, message: str, place: str = "") -> None:
        self.place, self.reason = place, " ".join(str(message).split())
        super().__init__(f"{place}: {self.reason}" if place else self.reason)


@contextmanager
def at(place: str, strip: str = "") -> Iterator[None]:
    """Put the key that a message is about in front of it, in the place of ``strip``."""
    try:
        yield
    except UserError as error:
        whole = ".".join(part for part in (place, error.place) if part)
        raise UserError(error.reason.removeprefix(strip), whole) from None


@contextmanager
def disk_refusals() -> Iterator[None]:
    """What the disk refuses (no space, no right) as a UserError that names the file; other errors stay."""
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        place = error.filename or Path.cwd()
        raise UserError(f"{place}: {error.strerror or error}; free space or rights, then run again") from None


def nearest(name: str, options: Iterable[str]) -> str:
    """A clause that helps after an unknown name: the nearest known ones, else all of them.

    >>> nearest("resnet81", ["resnet18", "vgg16"])
    'did you mean resnet18?'
    """
    known = sorted(options)
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known are {', '.join(known)}" if known else "none are known"
