"""Become a command that is killed when its parent ends: ``… -m pipeline.bound_to_parent PID COMMAND…``.

A worker that is killed cannot end its cell any more; left alone, the cell would write beside its own second
attempt. Linux alone does this (prctl(2), PR_SET_PDEATHSIG); it holds over exec(2).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Bind this process to parent ``PID`` and exec the command."""
    parent, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != int(parent):  # it ended before it could be watched
        raise SystemExit(128 + signal.SIGKILL)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
